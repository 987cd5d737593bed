#!/usr/bin/env bash
# Looks at a control-plane node and changes nothing: the disk under etcd's data, the kubelet, how etcd is run, and the
# node's addresses.
#
# Input, as environment variables (Systems Manager sets one for each parameter of the document):
#   SSM_DataDir       etcd's data folder
#   SSM_KubeletUnit   the kubelet's systemd unit
#   SSM_ManifestPath  etcd's static pod manifest
# Output: one line of JSON (docs/documents/inspect-node.md has its fields), or { error } and an exit code of 1.
# What is not there or cannot be read is null, and `notes` says why.
# ETCD_MEDIC_ROOT, for tests only, stands before every path that is read.
set -uo pipefail
shopt -s nullglob
export LC_ALL=C
# kubeadm's packages and Flatcar put crictl, and distributions ip, where an agent's PATH may not look.
export PATH="$PATH:/usr/local/bin:/opt/bin:/usr/sbin:/sbin"

# SSM cuts off what is longer than 24,000 characters, and half a JSON document is none.
readonly MAX_OUTPUT_BYTES=23000
readonly MAX_LISTED_FILES=10
readonly MAX_TEXT_BYTES=500
# A node has a handful; one with a network of pods that is unlike others, some dozens.
readonly MAX_ADDRESSES=64

readonly FLAGS=' advertise-client-urls auto-compaction-mode auto-compaction-retention backend-batch-interval
  backend-batch-limit data-dir experimental-initial-corrupt-check heartbeat-interval election-timeout
  listen-client-urls listen-metrics-urls listen-peer-urls name quota-backend-bytes snapshot-count wal-dir '

main() {
  read_parameter DataDir '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$' 'an absolute path such as /var/lib/etcd'
  local data_dir=$parameter
  read_parameter KubeletUnit '^[A-Za-z0-9:_.@][A-Za-z0-9:_.@-]{0,127}$' 'the name of a systemd unit such as kubelet'
  local unit=$parameter
  read_parameter ManifestPath '^(/[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,61}){1,16}$' 'an absolute path of a static pod manifest'
  local manifest_path=$parameter

  notes=()
  disk=null db_bytes=null kubelet=null manifest=null container=null
  orphan_count=0 orphan_bytes=0 orphan_files=''
  etcd_data_dir=null data_dir_flag='' mounts=() volumes=()
  addresses=null
  inspect_disk "$data_dir"
  inspect_database "$data_dir"
  inspect_kubelet "$unit"
  inspect_manifest "$manifest_path"
  inspect_data_dir_of_etcd "$data_dir"
  inspect_container
  inspect_addresses

  local output
  output=$(print_inspection "$data_dir")
  if ((${#output} > MAX_OUTPUT_BYTES)); then
    note 'the names of orphaned files and the manifest are left out: they are too long for one answer'
    orphan_files='' manifest=null
    output=$(print_inspection "$data_dir")
  fi
  printf '%s\n' "$output"
}

print_inspection() { # DATA_DIR
  local notes_json='' text
  for text in ${notes[@]+"${notes[@]}"}; do notes_json+=${notes_json:+,}$(json_text "$text"); done
  printf '{"dataDir":%s,"disk":%s,"dbBytes":%s,' "$(json_text "$1")" "$disk" "$db_bytes"
  printf '"orphaned":{"count":%d,"totalBytes":%d,"files":[%s]},' "$orphan_count" "$orphan_bytes" "$orphan_files"
  printf '"kubelet":%s,"manifest":%s,"etcdDataDir":%s,' "$kubelet" "$manifest" "$etcd_data_dir"
  printf '"container":%s,"addresses":%s,"notes":[%s]}' "$container" "$addresses" "$notes_json"
}

# Free is what a process without root's reserve may still write. The new file of a defragmentation is written into the
# folder of the old one and then renamed, so that folder's disk counts: `member` or `snap` may be a mount or a link of
# its own.
inspect_disk() { # DATA_DIR
  local numbers folder="${ETCD_MEDIC_ROOT:-}$1/member/snap"
  [[ -d $folder ]] || folder="${ETCD_MEDIC_ROOT:-}$1"
  if numbers=$(timeout 10 df --output=size,avail -B1 -- "$folder" 2>/dev/null | tail -n 1) &&
    [[ $numbers =~ ^[[:space:]]*([0-9]+)[[:space:]]+([0-9]+)[[:space:]]*$ ]]; then
    disk="{\"totalBytes\":${BASH_REMATCH[1]},\"freeBytes\":${BASH_REMATCH[2]}}"
  else
    note "the disk under $1 could not be read: is that etcd's data folder?"
  fi
}

# While a defragmentation runs, its db.tmp.* counts as orphaned too: from here the two look the same.
inspect_database() { # DATA_DIR
  local folder="${ETCD_MEDIC_ROOT:-}$1/member/snap" file bytes
  db_bytes=$(file_bytes "$folder/db") || {
    db_bytes=null
    note "there is no database at $1/member/snap/db"
  }
  for file in "$folder"/db.tmp.*; do
    bytes=$(file_bytes "$file") || continue # removed meanwhile
    orphan_count=$((orphan_count + 1))
    orphan_bytes=$((orphan_bytes + bytes))
    ((orphan_count > MAX_LISTED_FILES)) && continue
    orphan_files+="${orphan_files:+,}{\"name\":$(json_text "${file##*/}"),\"bytes\":$bytes}"
  done
}

file_bytes() { # FILE
  local bytes
  bytes=$(stat -L -c %s -- "$1" 2>/dev/null) && [[ $bytes =~ ^[0-9]{1,16}$ ]] && printf '%s' "$bytes"
}

# Systemd before 230 has no --value, so names are read too.
inspect_kubelet() { # UNIT
  local line load_state='' active_state='' sub_state=''
  while IFS= read -r line; do
    case $line in
      LoadState=*) load_state=${line#*=} ;;
      ActiveState=*) active_state=${line#*=} ;;
      SubState=*) sub_state=${line#*=} ;;
    esac
  done < <(timeout 10 systemctl show -p LoadState,ActiveState,SubState -- "$1" 2>/dev/null)
  if [[ $load_state == loaded ]]; then
    kubelet="{\"unit\":$(json_text "$1"),\"activeState\":$(json_text "$active_state"),\"subState\":$(json_text "$sub_state")}"
  else
    note "unit $1: systemd says it is ${load_state:-unknown} on this node"
  fi
}

# Of the manifest that kubeadm writes: `image:`, the command's items `- --flag=value`, one a line, and the mounts.
inspect_manifest() { # PATH
  local file="${ETCD_MEDIC_ROOT:-}$1" line item flag value image='' flags=''
  if [[ ! -f $file || ! -r $file ]]; then
    note "there is no manifest at $1: etcd is run another way here, as RKE2 and kOps do"
    return
  fi
  local section='' section_column=0 item_column=-1 key_column=0 parent='' mount_name='' mount_path='' sub_path=''
  while IFS= read -r line || [[ -n $line ]]; do
    read_mount "$line"
    if [[ $line =~ ^[[:space:]]*(-[[:space:]]+)?image:[[:space:]]*(.*)$ ]]; then
      image=$(yaml_scalar "${BASH_REMATCH[2]}")
    elif [[ $line =~ ^[[:space:]]*-[[:space:]]+(.*)$ ]]; then
      item=$(yaml_scalar "${BASH_REMATCH[1]}")
      [[ $item =~ ^--([a-z0-9-]+)(=(.*))?$ ]] || continue
      flag=${BASH_REMATCH[1]} value=${BASH_REMATCH[3]}
      [[ -n ${BASH_REMATCH[2]} ]] || value=true
      [[ $flag != data-dir ]] || data_dir_flag=$value
      if [[ $FLAGS == *[[:space:]]"$flag"[[:space:]]* ]]; then flags+="${flags:+,}\"$flag\":$(json_text "$value")"; fi
    fi
  done <"$file"
  end_mount
  local version=null
  # The tag is behind the last colon of the last part of the name; a registry may have a port.
  [[ ${image##*/} =~ ^[^:@]+:v?([0-9]+\.[0-9]+\.[0-9]+) ]] && version="\"${BASH_REMATCH[1]}\""
  if [[ -n $image ]]; then image=$(json_text "$image"); else image=null; fi
  manifest="{\"path\":$(json_text "$1"),\"image\":$image,\"version\":$version,\"flags\":{$flags}}"
}

# One line of the manifest more. Leaves, with a tab between, `mounts`: a volume's name and where etcd has it
# (volumeMounts), and `volumes`: a volume's name and where the node has it (hostPath). Uses inspect_manifest's own
# variables.
read_mount() { # LINE
  [[ $1 =~ ^(\ *)((-\ +)?)([A-Za-z]+):(\ +(.*))?$ ]] || return 0
  local column=${#BASH_REMATCH[1]} dash=${#BASH_REMATCH[2]} key=${BASH_REMATCH[4]} text=${BASH_REMATCH[6]-}
  # A list may begin at the column of its key.
  if [[ -n $section ]] && ((column < section_column || (column == section_column && dash == 0))); then
    end_mount
    section=''
  fi
  if [[ -z $section ]]; then
    [[ $key == volumeMounts || $key == volumes ]] || return 0
    section=$key section_column=$((column + dash)) item_column=-1
    return 0
  fi
  if ((dash > 0 && (item_column < 0 || column == item_column))); then
    end_mount
    item_column=$column key_column=$((column + dash)) parent=''
  fi
  if ((column + dash == key_column)); then
    parent=$key
    case $key in
      name) mount_name=$(yaml_scalar "$text") ;;
      mountPath) mount_path=$(yaml_scalar "$text") ;;
      subPath) sub_path=$(yaml_scalar "$text") ;;
    esac
  elif [[ $section == volumes && $parent == hostPath && $key == path ]]; then
    mount_path=$(yaml_scalar "$text")
  fi
}

end_mount() {
  if [[ -n $mount_name && -n $mount_path ]]; then
    if [[ $section == volumes ]]; then volumes+=("$mount_name"$'\t'"$mount_path"); fi
    if [[ $section == volumeMounts ]]; then mounts+=("$mount_name"$'\t'"$mount_path"$'\t'"$sub_path"); fi
  fi
  mount_name='' mount_path='' sub_path=''
}

# Where etcd itself keeps its data by its manifest, and whether that is what was looked at: the same file, whatever it
# is called.
inspect_data_dir_of_etcd() { # DATA_DIR
  [[ -n $data_dir_flag ]] || return 0
  local on_node bytes=null same=null path_json=null theirs ours="${ETCD_MEDIC_ROOT:-}$1/member/snap/db"
  if on_node=$(path_on_node "$data_dir_flag"); then
    path_json=$(json_text "$on_node")
    theirs="${ETCD_MEDIC_ROOT:-}$on_node/member/snap/db"
    bytes=$(file_bytes "$theirs") || bytes=null
    if [[ $on_node == "$1" || $theirs -ef $ours ]]; then
      same=true
    elif [[ $bytes != null ]]; then
      same=false
    fi
  else
    note "the manifest does not say where the node has etcd's --data-dir=$data_dir_flag"
  fi
  etcd_data_dir="{\"flag\":$(json_text "$data_dir_flag"),\"onNode\":$path_json,\"dbBytes\":$bytes,\"isDataDir\":$same}"
}

# By the longest mount that it lies in. A manifest without any, or in a form that is not read here, is taken at its
# word.
path_on_node() { # PATH_IN_CONTAINER
  local wanted=${1%/} mount name path sub best='' found='' volume
  [[ $wanted == /* ]] || return 1
  if ((${#mounts[@]} == 0 || ${#volumes[@]} == 0)); then
    printf '%s' "$wanted"
    return 0
  fi
  for mount in "${mounts[@]}"; do
    IFS=$'\t' read -r name path sub <<<"$mount"
    path=${path%/}
    [[ $wanted == "$path" || $wanted == "$path"/* ]] || continue
    ((${#path} >= ${#best})) || continue
    best=$path found=''
    for volume in "${volumes[@]}"; do
      [[ ${volume%%$'\t'*} == "$name" ]] || continue
      found=${volume#*$'\t'}
      found=${found%/}${sub:+/${sub#/}}${wanted#"$path"}
    done
  done
  [[ -n $found ]] && printf '%s' "$found"
}

# One line's value without its quotes or its comment.
yaml_scalar() { # TEXT
  local text=$1
  if [[ $text =~ ^\'(.*)\'[[:space:]]*(#.*)?$ ]]; then
    text=${BASH_REMATCH[1]//"''"/"'"}
  elif [[ $text =~ ^\"(.*)\"[[:space:]]*(#.*)?$ ]]; then
    text=${BASH_REMATCH[1]}
    text=${text//\\\"/\"}
    text=${text//\\\\/\\}
  else
    text=${text%%[[:space:]]#*}
    text=${text%"${text##*[![:space:]]}"}
  fi
  printf '%s' "$text"
}

# The newest container of that name comes first. CREATED has blanks in it, so STATE is found by its words.
inspect_container() {
  local table line
  if ! command -v crictl >/dev/null; then
    note 'crictl is not on this node: restarts of the container are not known'
    return
  fi
  if ! table=$(timeout 15 crictl ps -a --name '^etcd$' 2>/dev/null); then
    note 'crictl failed: restarts of the container are not known'
    return
  fi
  while IFS= read -r line; do
    if [[ $line =~ [[:space:]](Running|Exited|Created|Unknown)[[:space:]]+etcd[[:space:]]+([0-9]{1,9})([[:space:]]|$) ]]; then
      container="{\"state\":\"${BASH_REMATCH[1]}\",\"restarts\":$((10#${BASH_REMATCH[2]}))}"
      return
    fi
  done <<<"$table"
  note 'crictl knows no container named etcd'
}

# Of all interfaces: a member may be known by any of them. Not what every node has, its loopback and its links'.
inspect_addresses() {
  local table line address list='' count=0
  if table=$(timeout 5 ip -o addr show 2>/dev/null) && [[ -n $table ]]; then
    while IFS= read -r line; do
      # kube-proxy puts every Service's address on each node there.
      [[ $line =~ ^[0-9]+:\ +kube-ipvs0\  ]] && continue
      [[ $line =~ \ inet6?\ ([0-9a-fA-F.:]+)(/|\ ) ]] || continue
      address=${BASH_REMATCH[1]}
      [[ $line =~ \ scope\ (host|link) ]] || add_address
    done <<<"$table"
  elif table=$(timeout 5 hostname -I 2>/dev/null) && [[ $table == *[0-9]* ]]; then
    for address in $table; do add_address; done
  else
    note "neither ip nor hostname tells this node's addresses"
    return 0
  fi
  ((count <= MAX_ADDRESSES)) || note "of $count addresses only the first $MAX_ADDRESSES are listed"
  addresses="[$list]"
}

add_address() { # adds `address` to inspect_addresses' list
  count=$((count + 1))
  ((count > MAX_ADDRESSES)) || list+="${list:+,}$(json_text "$address")"
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

note() { # TEXT
  notes+=("$1")
}

fail() { # MESSAGE
  printf '{"error":%s}\n' "$(json_string "${1:0:1000}")"
  exit 1
}

# A JSON string that stays short.
json_text() { # TEXT
  if ((${#1} > MAX_TEXT_BYTES)); then json_string "${1:0:MAX_TEXT_BYTES}..."; else json_string "$1"; fi
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
