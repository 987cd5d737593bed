# For .ci/run and .ci/matrix, which source it.

# A project of vitest.config.ts; sets suite_passed and suite_failed. One that ran no test has failed.
run_suite() { # NAME RESULTS_FILE FAILURES_FILE
  local status said
  npx vitest run --project "$1" --reporter=default --reporter=json --outputFile.json="$2"
  status=$?
  said=$(npx node .ci/count.ts "$2" "$3") || said="0 1"
  read -r suite_passed suite_failed <<<"$said"
  # An error outside of a test (in a hook, at import) fails the run without a failed test.
  if [ "$status" -ne 0 ] && [ "$suite_failed" -eq 0 ]; then suite_failed=1; fi
  if [ "$suite_passed" -eq 0 ]; then suite_failed=$((suite_failed + 1)); fi
}
