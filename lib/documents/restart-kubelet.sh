#!/usr/bin/env bash
# Restarts the kubelet, so that the back-off of its crashing pods starts again from zero, and says what became of it.
#
# Input, as environment variables (Systems Manager sets one for each parameter of the document):
#   SSM_KubeletUnit  the systemd unit to restart
# Output: one line of JSON, { unit, activeState, subState, restartedAt, mainPid }, or { error } and an exit code of 1.
# The kubelet leaves running containers alone when it is restarted; only waiting ones are started at once.
set -uo pipefail
export LC_ALL=C

readonly WAIT_SECONDS=20
# A kubelet that cannot start is gone within a second or two, and is "active" until then.
readonly STEADY_SECONDS=2

main() {
  if [[ -z ${SSM_KubeletUnit+set} ]]; then
    fail 'parameter KubeletUnit did not arrive: this node needs SSM Agent 3.3.2746.0 or newer'
  fi
  local unit=$SSM_KubeletUnit
  # The document's own pattern: nothing that reaches this script another way gets further either.
  if [[ ! $unit =~ ^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,127}$ ]]; then
    fail "KubeletUnit: found \"${unit:0:100}\", expected the name of a systemd unit such as kubelet"
  fi

  read_unit "$unit"
  if [[ $load_state != loaded ]]; then
    fail "unit $unit: systemd says it is ${load_state:-unknown} on this node"
  fi

  local restarted_at refusal status
  restarted_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  refusal=$(timeout "$WAIT_SECONDS" systemctl restart -- "$unit" 2>&1 >/dev/null)
  status=$?
  # 124: systemctl still waits, as for a unit that only counts as started once etcd answers. Its state tells.
  if ((status != 0 && status != 124)); then
    fail "unit $unit could not be restarted: ${refusal:-systemctl ended with $status}"
  fi

  await_steady "$unit"
  printf '{"unit":%s,"activeState":%s,"subState":%s,"restartedAt":"%s","mainPid":%d}\n' \
    "$(json_string "$unit")" "$(json_string "$active_state")" "$(json_string "$sub_state")" "$restarted_at" "$main_pid"
}

# Returns once the unit has kept one and the same main process for STEADY_SECONDS.
await_steady() { # UNIT
  local steady=0 waited last_pid=0
  for ((waited = 0; waited < WAIT_SECONDS; waited++)); do
    read_unit "$1"
    if is_up && ((main_pid == last_pid)); then
      steady=$((steady + 1))
      ((steady >= STEADY_SECONDS)) && return
    else
      steady=0
    fi
    last_pid=$main_pid
    sleep 1
  done
  fail "unit $1 did not come up in $WAIT_SECONDS seconds: it is ${active_state:-unknown} (${sub_state:-unknown})"
}

# A unit of type notify is "activating (start)" while it works; "activating (auto-restart)" is one that has just
# crashed.
is_up() {
  ((main_pid > 0)) && { [[ $active_state == active ]] || [[ $active_state/$sub_state == activating/start ]]; }
}

# Sets load_state, active_state, sub_state and main_pid. Systemd before 230 has no --value, so names are read too.
read_unit() { # UNIT
  local line
  load_state='' active_state='' sub_state='' main_pid=0
  while IFS= read -r line; do
    case $line in
      LoadState=*) load_state=${line#*=} ;;
      ActiveState=*) active_state=${line#*=} ;;
      SubState=*) sub_state=${line#*=} ;;
      MainPID=*) [[ ${line#*=} =~ ^[0-9]{1,9}$ ]] && main_pid=$((10#${line#*=})) ;;
    esac
  done < <(timeout 10 systemctl show -p LoadState,ActiveState,SubState,MainPID -- "$1")
}

fail() { # MESSAGE
  printf '{"error":%s}\n' "$(json_string "${1:0:1000}")"
  exit 1
}

# A JSON string of any bytes. What is no UTF-8 cannot be in JSON: its bytes above 127 become the replacement character.
json_string() { # TEXT
  local text=$1 out='' char i hex
  if [[ $text == *[$'\x80'-$'\xff']* ]]; then
    hex=$(printf '%s' "$text" | od -An -v -tx1 | tr -d ' \n')
    local tail='[89ab].'
    local utf8="^([0-7].|(c[2-9a-f]|d.)$tail|(e0[ab].|e[1-9abcef]$tail|ed[89].)$tail|(f0[9ab].|f[1-3]$tail|f48.)$tail$tail)*\$"
    [[ $hex =~ $utf8 ]] || text=${text//[$'\x80'-$'\xff']/$'\xef\xbf\xbd'}
  fi
  for ((i = 0; i < ${#text}; i++)); do
    char=${text:i:1}
    case $char in
      '"' | \\) out+=\\$char ;;
      [[:cntrl:]]) printf -v char '\\u%04x' "'$char" && out+=$char ;;
      *) out+=$char ;;
    esac
  done
  printf '"%s"' "$out"
}

main
