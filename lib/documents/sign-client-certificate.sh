#!/usr/bin/env bash
# Signs a client certificate for etcd-medic with a certificate authority of this node, whose key never leaves it.
#
# Input, as environment variables (Systems Manager sets one for each parameter of the document):
#   SSM_Request            a certificate request (PKCS #10, PEM) as base64 in one line; its public key is all that is
#                          taken from it
#   SSM_CaCertificatePath  the authority's certificate
#   SSM_CaKeyPath          the authority's key
#   SSM_ServerCaPath       the authorities that the servers' certificates are verified by; often the same file as the
#                          first
#   SSM_CommonName         of the certificate's subject: etcd-medic, or etcd-medic-...
#   SSM_Organization       of the certificate's subject: etcd-medic:...
#   SSM_ValidityDays       how long it is to be valid; never longer than the authority itself
# Output: one line of JSON (docs/documents/sign-client-certificate.md has its fields), or { error } and an exit code
# of 1.
# ETCD_MEDIC_ROOT, for tests only, stands before every path that is read.
set -uo pipefail
export LC_ALL=C
umask 077

# SSM cuts off what is longer than 24,000 characters, and half a JSON document is none.
readonly MAX_OUTPUT_BYTES=23000
readonly MAX_DAYS=366
# One with an RSA key of 4096 bits has 2,400. A pattern cannot say it: the agent's repeat no more than 1,000 times.
readonly MAX_REQUEST_CHARACTERS=6000
# Clocks differ: who checks the certificate the moment it is made may be behind this node's.
readonly BACKDATED_SECONDS=600
# What is read of a file: a bundle of authorities is some kilobytes.
readonly MAX_FILE_BYTES=200000
readonly MAX_AUTHORITIES=8
# What OpenSSL says is long; who reads it needs the reason only.
readonly MAX_REASON_CHARACTERS=300

folder=''

main() {
  read_parameter Request '^[A-Za-z0-9+/]+={0,2}$' 'a certificate request in PEM, as base64 in one line'
  local request=$parameter
  ((${#request} <= MAX_REQUEST_CHARACTERS)) ||
    fail "Request: found ${#request} characters, expected at most $MAX_REQUEST_CHARACTERS"
  read_parameter CaCertificatePath '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$' 'an absolute path such as /etc/kubernetes/pki/ca.crt'
  local ca_path=$parameter
  read_parameter CaKeyPath '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$' 'an absolute path such as /etc/kubernetes/pki/ca.key'
  local key_path=$parameter
  read_parameter ServerCaPath '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$' 'an absolute path such as /etc/kubernetes/pki/ca.crt'
  local server_ca_path=$parameter
  read_parameter CommonName '^etcd-medic(-[a-z0-9]{1,20}){0,3}$' 'etcd-medic'
  local common_name=$parameter
  read_parameter Organization '^etcd-medic:[a-z][a-z0-9-]{0,39}$' 'a group of its own such as etcd-medic:pruner'
  local organization=$parameter
  read_parameter ValidityDays '^[1-9][0-9]{0,2}$' "a number of days from 1 to $MAX_DAYS"
  local days=$parameter
  ((days <= MAX_DAYS)) || fail "ValidityDays: found $days, expected a number of days from 1 to $MAX_DAYS"

  command -v openssl >/dev/null || fail 'openssl is not on this node: install it, or have another node sign'
  # Not in $TMPDIR, which is whoever's it was set by. Nothing secret is ever written there.
  folder=$(mktemp -d /tmp/etcd-medic-sign.XXXXXXXXXX) || fail 'no folder could be made in /tmp'
  trap 'rm -rf -- "$folder"' EXIT
  trap 'exit 1' HUP INT TERM

  read_request "$request"
  read_authority "$ca_path" "$key_path"
  read_server_authorities "$server_ca_path"
  sign "/O=$organization/CN=$common_name" "$key_path" "$days"
  print_signed
}

# Leaves request.pem: exactly one request, signed with the very key that it is for, and that key is a good one.
read_request() { # BASE64
  printf '%s' "$1" | base64 -d >"$folder/given.pem" 2>/dev/null || fail 'Request: what it decodes to is cut off or no base64'
  # Written anew by openssl, so that nothing else that may stand in it comes along.
  ssl req -in "$folder/given.pem" -out "$folder/request.pem" ||
    fail "Request: it decodes to no certificate request that openssl can read ($reason)"
  # The exit code is 0 for a bad signature too, in some versions.
  ssl req -in "$folder/request.pem" -noout -verify
  [[ $said == *'verify OK'* ]] || fail 'Request: its signature is not by the key that it is for'
  ssl req -in "$folder/request.pem" -noout -pubkey || fail "Request: its public key cannot be read ($reason)"
  printf '%s\n' "$output" >"$folder/public.pem"
  ssl pkey -pubin -in "$folder/public.pem" -noout -text || fail "Request: its public key cannot be read ($reason)"
  check_key "$output"
}

check_key() { # openssl's description
  local expected='expected EC P-256 or P-384, or RSA with 2048 to 4096 bits' curve bits
  if [[ $1 =~ ASN1\ OID:\ ([A-Za-z0-9.-]+) ]]; then
    curve=${BASH_REMATCH[1]}
    [[ $curve == prime256v1 || $curve == secp384r1 ]] || fail "Request: found a key on the curve $curve, $expected"
  elif [[ $1 == *Modulus:* && $1 == *Exponent:* && $1 =~ \(([0-9]{1,6})\ bit\) ]]; then
    bits=$((10#${BASH_REMATCH[1]}))
    ((bits >= 2048 && bits <= 4096)) || fail "Request: found an RSA key with $bits bits, $expected"
  else
    fail "Request: found a key of another type, $expected"
  fi
}

# Leaves ca.pem, ca_ends (when it expires, in seconds since 1970) and ca_identifier. The key is only looked at where it
# lies.
read_authority() { # CERTIFICATE_PATH KEY_PATH
  local certificate="${ETCD_MEDIC_ROOT:-}$1" key="${ETCD_MEDIC_ROOT:-}$2" starts
  check_file "$certificate" "the authority's certificate $1"
  check_file "$key" "the authority's key $2"
  ssl x509 -in "$certificate" -out "$folder/ca.pem" || fail "$1: there is no certificate in it that openssl can read ($reason)"
  ssl x509 -in "$folder/ca.pem" -noout -text
  [[ $output == *'CA:TRUE'* ]] || fail "$1: found a certificate that is no authority's"
  # An authority without an identifier of its own cannot be named by it, and openssl then signs nothing.
  ca_identifier=''
  if [[ $output == *'Subject Key Identifier'* ]]; then ca_identifier='authorityKeyIdentifier = keyid'; fi
  ca_ends=$(seconds_of enddate) || fail "$1: its dates cannot be read"
  starts=$(seconds_of startdate) || fail "$1: its dates cannot be read"
  local now
  now=$(date +%s)
  ((ca_ends > now)) || fail "$1: the authority expired on $(date_text "$ca_ends"): renew it first"
  ((starts <= now)) || fail "$1: the authority is not valid before $(date_text "$starts"), and it is $(date_text "$now") here: is this node's clock right?"
  local own
  ssl x509 -in "$folder/ca.pem" -noout -pubkey || fail "$1: its public key cannot be read ($reason)"
  own=$output
  if grep -q -e ENCRYPTED -- "$key"; then fail "$2: the authority's key is encrypted, so nothing here can sign with it"; fi
  # The empty passphrase keeps openssl from asking for one.
  ssl pkey -in "$key" -passin pass: -pubout || fail "$2: there is no private key in it that openssl can read"
  [[ $output == "$own" ]] || fail "$2: the key does not belong to the certificate $1"
}

check_file() { # FILE DESCRIPTION
  [[ -e $1 ]] || fail "$2 is not on this node: another node may have it"
  [[ -f $1 && -r $1 ]] || fail "$2 cannot be read"
  (($(stat -L -c %s -- "$1" 2>/dev/null || echo $((MAX_FILE_BYTES + 1))) <= MAX_FILE_BYTES)) || fail "$2 is too large to be one"
}

# Leaves servers.pem: the certificates of the file and nothing else that may stand in it, a key for one.
read_server_authorities() { # PATH
  local file="${ETCD_MEDIC_ROOT:-}$1" line block='' count=0
  check_file "$file" "the servers' authority $1"
  : >"$folder/servers.pem"
  while IFS= read -r line || [[ -n $line ]]; do
    line=${line%$'\r'}
    case $line in
      '-----BEGIN CERTIFICATE-----') block="$line"$'\n' ;;
      '-----END CERTIFICATE-----')
        [[ -n $block ]] || continue
        ((++count <= MAX_AUTHORITIES)) || fail "$1: found more than $MAX_AUTHORITIES certificates"
        printf '%s%s\n' "$block" "$line" >"$folder/one.pem"
        ssl x509 -in "$folder/one.pem" || fail "$1: certificate $count in it cannot be read ($reason)"
        printf '%s\n' "$output" >>"$folder/servers.pem"
        block=''
        ;;
      *) [[ -z $block ]] || block+="$line"$'\n' ;;
    esac
  done <"$file"
  ((count > 0)) || fail "$1: there is no certificate in it"
}

# Leaves signed.pem. `openssl ca` keeps its records in the folder, and takes the dates, the subject and the extensions
# from here.
sign() { # SUBJECT KEY_PATH DAYS
  local now ends
  now=$(date +%s)
  ends=$((now + $3 * 86400))
  ((ends <= ca_ends)) || ends=$ca_ends
  : >"$folder/index"
  cat >"$folder/ca.conf" <<CONF
[ca]
default_ca = authority
[authority]
database = $folder/index
new_certs_dir = $folder
rand_serial = yes
default_md = default
policy = any
unique_subject = no
email_in_dn = no
preserve = yes
copy_extensions = none
x509_extensions = client
[any]
organizationName = supplied
commonName = supplied
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
$ca_identifier
CONF
  ssl ca -config "$folder/ca.conf" -cert "$folder/ca.pem" -keyfile "${ETCD_MEDIC_ROOT:-}$2" -passin pass: \
    -in "$folder/request.pem" -out "$folder/signed.pem" -subj "$1" -batch -notext -rand_serial \
    -startdate "$(openssl_date "$((now - BACKDATED_SECONDS))")" -enddate "$(openssl_date "$ends")" ||
    fail "openssl could not sign: $reason"
  ssl verify -partial_chain -purpose sslclient -CAfile "$folder/ca.pem" "$folder/signed.pem" ||
    fail "what openssl signed does not hold: $reason"
}

print_signed() {
  local answer
  answer=$(printf '{"certificate":"%s","signedBy":"%s","serverCa":"%s"}' \
    "$(one_line signed.pem)" "$(one_line ca.pem)" "$(one_line servers.pem)")
  ((${#answer} <= MAX_OUTPUT_BYTES)) || fail 'the certificates are too long for one answer: are there many in ServerCaPath?'
  printf '%s\n' "$answer"
}

one_line() { # FILE
  base64 -w 0 -- "$folder/$1"
}

# Runs openssl, which asks nobody and cannot hang. Sets `output`, `said` (what it had to say besides) and `reason`: the
# last of that.
ssl() { # COMMAND ARGUMENTS...
  local status
  output=$(OPENSSL_CONF=/dev/null RANDFILE="$folder/random" timeout 20 openssl "$@" </dev/null 2>"$folder/said")
  status=$?
  said=$(<"$folder/said")
  reason=${said##*$'\n'}
  reason=${reason:0:MAX_REASON_CHARACTERS}
  return "$status"
}

seconds_of() { # startdate|enddate, of ca.pem
  local text
  text=$(openssl x509 -in "$folder/ca.pem" -noout "-$1" 2>/dev/null </dev/null) && date -u -d "${text#*=}" +%s 2>/dev/null
}

# Two digits for the year: RFC 5280 wants them until 2049, and no certificate of this script ends after that.
openssl_date() { # SECONDS
  date -u -d "@$1" +%y%m%d%H%M%SZ
}

date_text() { # SECONDS
  date -u -d "@$1" +%Y-%m-%dT%H:%M:%SZ
}

# Sets `parameter`. The document's own patterns: nothing that reaches this script another way gets further either.
read_parameter() { # NAME PATTERN EXPECTED
  local variable="SSM_$1"
  if [[ -z ${!variable+set} ]]; then
    fail "parameter $1 did not arrive: this node needs SSM Agent 3.3.2746.0 or newer"
  fi
  parameter=${!variable}
  [[ $parameter =~ $2 ]] || fail "$1: found \"${parameter:0:100}\", expected $3"
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
