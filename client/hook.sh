#!/bin/sh
# Tells the incident workflow what pgpool-II saw: hook.sh [-c FILE] failover|follow %d %m %P, or hook.sh [-c FILE] deliver.
# An event is in the spool until Temporal has it, the primary's failover until it is answered. Needs curl, coreutils, util-linux.
# One line on stdout; exit 0 done, 1 refused or parked, 2 usage or configuration, 3 spooled only, 4 not settled in time.
set -u
umask 077
export LC_ALL=C # patterns see bytes, whatever environment pgpool was started in
trap '' XFSZ    # a file size limit must fail the write, not kill the hook before it has told Temporal

finish() { # exit code, sentence
  printf 'pgpool-runbook: %.400s\n' "$2${warning-}" 2>/dev/null
  exit "$1"
}

# pgpool leaks its listening sockets into hooks, and a process that outlives pgpool with them keeps pgpool from starting again.
# dash cannot name a descriptor above 9: if such a one was inherited, bash (where it exists) takes over.
close_inherited() {
  for path in "/proc/$$/fd"/*; do
    fd=${path##*/} flags=''
    case $fd in [012] | *[!0-9]*) continue ;; esac
    { while read -r name flags && [ "$name" != flags: ]; do :; done <"/proc/$$/fdinfo/$fd"; } 2>/dev/null
    case $flags in '' | *[2367]??????) continue ;; esac # 02000000 is O_CLOEXEC: the shell's own
    case ${BASH_VERSION:+bash}/$fd in
      /??*) if command -v bash >/dev/null; then exec bash --posix "$0" "$@"; fi ;;
      *) eval "exec $fd>&-" ;; # a number from /proc, nothing else
    esac
  done
}

bad_setting() { finish 2 "$config line $number: $1"; }
require_characters() { # all but these, greatest length, in words
  case $value in *$1*) bad_setting "$key must be $3" ;; esac
  [ ${#value} -le "$2" ] || bad_setting "$key must be $3"
}
require_path() { case $value in /*) ;; *) bad_setting "$key must be an absolute path, without quotes" ;; esac }
read_setting() { # from key and value
  case "$seen " in *" $key "*) bad_setting "$key is set twice; keep one" ;; esac
  seen="$seen $key"
  case $key in
    CLUSTER) cluster=$value && require_characters '[!a-z0-9-]' 40 '1-40 of a-z 0-9 -, as in the cluster file' ;;
    NAMESPACE) namespace=$value && require_characters '[!A-Za-z0-9._-]' 200 '1-200 of A-Z a-z 0-9 . _ -' ;;
    TASK_QUEUE) task_queue=$value && require_characters '[!A-Za-z0-9._-]' 200 '1-200 of A-Z a-z 0-9 . _ -' ;;
    TEMPORAL_HTTP)
      temporal=${value%/}
      case $value in http://[!/]* | https://[!/]*) ;; *) bad_setting "$key must be like http://127.0.0.1:7243" ;; esac
      require_characters '[!]A-Za-z0-9.:/_~[-]' 300 'like http://127.0.0.1:7243; secrets belong in CURL_OPTIONS_FILE' ;;
    SPOOL) spool=$value && require_path ;;
    CURL_OPTIONS_FILE) curl_options=$value && require_path ;;
    WAIT_SECONDS)
      wait_seconds=$value
      case $value in [1-9] | [1-9][0-9] | [12][0-9][0-9] | 300) ;; *) bad_setting "$key must be 1 to 300" ;; esac ;;
    *) bad_setting 'unknown key; use CLUSTER TEMPORAL_HTTP NAMESPACE TASK_QUEUE SPOOL WAIT_SECONDS CURL_OPTIONS_FILE' ;;
  esac
  [ "$value" ] || bad_setting "$key has no value; set it or remove the line"
}
# Sets value. From 4.4 on, pgpool pastes " 1"; a Windows editor ends lines with \r.
trim() { value=${1#"${1%%[![:space:]]*}"} && value=${value%"${value##*[![:space:]]}"}; }

read_configuration() { # parsed, never sourced: a file's text must not run
  seen='' wait_seconds=15 curl_options='' warning='' number=0
  { [ -f "$config" ] && [ -r "$config" ]; } || finish 2 "$(id -un) cannot read $config; write it like hook.conf.example"
  while IFS= read -r line || [ "$line" ]; do
    number=$((number + 1))
    trim "$line" && line=$value
    case $line in
      '' | '#'*) continue ;;
      *=*) trim "${line%%=*}" && key=$value && trim "${line#*=}" && read_setting ;;
      *) bad_setting 'not KEY=value; write it so, or start a comment with #' ;;
    esac
  done <"$config"
  for key in CLUSTER TEMPORAL_HTTP NAMESPACE TASK_QUEUE SPOOL; do
    case "$seen " in *" $key "*) ;; *) bad_setting "the file ends here without $key; add a line $key=..." ;; esac
  done
  workflow_id=pgpool-$cluster
  workflow_url=$temporal/api/v1/namespaces/$namespace/workflows/$workflow_id
}

read_node() { # placeholder, its argument; sets node to 0-127 or null
  trim "$2"
  case $value in
    '' | -1) node=null ;;
    [0-9] | [1-9][0-9] | 1[01][0-9] | 12[0-7]) node=$value ;;
    *) finish 2 "$1 must be a node id (0-127), or -1 or empty for none; in pgpool.conf, write: hook.sh $kind %d %m %P" ;;
  esac
}

# Sets now, in hundredths of a second that no change of the clock moves.
read_clock() { { read -r now _ </proc/uptime; } 2>/dev/null || now=$(date +%s.00) && now=${now%.*}${now#*.}; }

# Sets body, code (of HTTP; 000 without an answer) and failure, empty after a 2xx. SIGTERM may be blocked: hence -k.
# Neither a .curlrc nor the proxy variables of pgpool's environment were meant for Temporal.
request() { # most seconds, path below the workflow, more curl arguments
  limit=$1 url=$workflow_url/$2
  shift 2
  body=$(timeout -k 1 $((${limit%.*} + 2)) curl -q --noproxy '*' ${curl_options:+-K "$curl_options"} -s -g \
    --connect-timeout 1 --max-time "$limit" -H 'Content-Type: application/json' -H 'Expect:' -w ' %{http_code}' \
    "$@" "$url" 2>/dev/null)
  status=$? code=${body##* }
  [ $status -eq 0 ] || code=000
  case $status/$code in
    0/2??) failure='' ;;
    0/*) failure="Temporal answered HTTP $code" ;;
    6/*) failure='host name not found' ;;
    7/*) failure='connection refused' ;;
    26/*) failure="$curl_options cannot be read" ;;
    28/* | 124/* | 137/*) failure='no answer in time' ;;
    *) if command -v curl >/dev/null; then failure="curl exit code $status"; else failure='curl is not on PATH'; fi ;;
  esac
  [ -z "$failure" ]
}
post_event() { request 3 signal-with-start/event --data-raw "$event"; }

make_event() { # sets event_id, identity and event, the whole body of the POST
  # shellcheck disable=SC2046 # three words are wanted
  set -- $(date -u '+%Y%m%dT%H%M%S %Y-%m-%dT%H:%M:%S.%3NZ %N')
  { read -r random </proc/sys/kernel/random/uuid; } 2>/dev/null || random=$3
  { read -r host </proc/sys/kernel/hostname; } 2>/dev/null || host=$(uname -n)
  event_id=$kind-$failed-$1-$$-${random%%-*} own=$event_id.sent identity=pgpool@${host%%[!A-Za-z0-9._-]*}
  case $kind in failover) summary="reports node $failed down" ;; *) summary="asks node $failed to follow" ;; esac
  event='{"workflowType":{"name":"incident"},"taskQueue":{"name":"'$task_queue'"},"input":["'$cluster'"],"signalInput":'
  event=$event'[{"eventId":"'$event_id'","kind":"'$kind'","node":'$failed',"mainNode":'$main',"oldPrimary":'$primary
  event=$event',"at":"'$2'"}],"requestId":"'$event_id'","identity":"'$identity'"'
  event=$event',"workflowTaskTimeout":"2s","workflowIdReusePolicy":"WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE"'
  event=$event',"workflowIdConflictPolicy":"WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING"'
  event=$event',"userMetadata":{"summary":"'$cluster': pgpool '$summary'"}}'
}

spool_event() { # whole or not at all; nothing looks at dot files
  [ -d "$spool" ] || mkdir -p "$spool"
  printf '%s\n' "$event" >"$spool/.$event_id" && mv "$spool/.$event_id" "$spool/$event_id" && return
  rm -f "$spool/.$event_id" && false
}
# pgpool has cut its clients already: it waits for a new primary, but not for a standby.
is_awaited() { case $kind/$primary in failover/null | "failover/$failed") ;; *) false ;; esac }
# Temporal has the event. One that is waited for stays until it is answered, because its run may end without an answer: as .sent while
# its hook waits, then as .open.
keep() { if is_awaited; then mv -f "$spool/$event_id" "$spool/$event_id.$1"; else rm -f "$spool/$event_id"; fi; }
leave_open() { mv -f "$spool/$event_id.sent" "$spool/$event_id.open" 2>/dev/null && start_deliver; }
is_spool_empty() { for file in "$spool"/*; do [ ! -f "$file" ] || [ "$file" = "$spool/${own-}" ] || return 1; done; }
start_deliver() { setsid sh "$0" -c "$config" deliver </dev/null >/dev/null 2>&1 & }

send_event() { # a failure that may pass is tried again for a second: pgpool serves no client meanwhile
  spool_event 2>/dev/null || warning="; $spool cannot be written, look at its owner and free space"
  read_clock && give_up=$((now + 100))
  until post_event; do
    read_clock
    case $code in 000 | 409 | 429 | 5??) [ "$now" -ge "$give_up" ] || { sleep 0.2 && continue; } ;; esac
    [ -z "$warning" ] || finish 3 "EVENT LOST ($kind, node $failed): $failure at $temporal"
    start_deliver
    finish 3 "$kind, node $failed: $failure at $temporal; kept in $spool, and tried again until delivered"
  done
  [ "$warning" ] || keep sent 2>/dev/null
  is_spool_empty || start_deliver # left by a deliver that was killed, or by a restart of the machine
}

json_string() { # takes the next string off text; sets value
  value='' text=${text#*\"}
  while :; do
    skipped=${text%%[\\\"]*}
    value=$value$skipped text=${text#"$skipped"}
    case $text in
      \\[\"/\\]*) text=${text#?} && value=$value${text%"${text#?}"} text=${text#?} ;;
      \\u????*) value=$value'?' text=${text#??????} ;;
      \\*) value=$value' ' text=${text#??} ;;
      *) text=${text#?} && return ;;
    esac
  done
}
json_member() { # key, text from behind an object's brace; sets value to its own string member, not to a nested one
  text=$2 depth=0
  while text=${text#"${text%%[]\"\{\}[]*}"} && [ "$text" ] && [ $depth -ge 0 ]; do
    case $text in
      [[\{]*) depth=$((depth + 1)) text=${text#?} ;;
      []\}]*) depth=$((depth - 1)) text=${text#?} ;;
      *)
        json_string
        [ "$depth/$value" != "0/$1" ] || case $text in :\"* | ': "'*) json_string && return ;; esac ;;
    esac
  done
  return 1
}
find_answer() { # text from behind the brace of an answer's object; sets outcome and line
  json_member outcome "$1" && outcome=$value || return
  json_member line "$1" && [ "$value" ] || value=$outcome
  line=$value
}
read_run() { run_id='' && json_member runId "${body#*\{}" && run_id=$value; } # after post_event: the run that has taken the event
# Sets state: answered (and outcome and line), open (and message if it says no), or ended, when the run has closed without an answer to
# this event: a person terminated it, or a new version could not go on with it.
ask_settled() { # most seconds
  state=open message=''
  # 200 without an outcome: the server's long poll is over (20 s), and the same updateId asks again
  question='{"workflowExecution":{"workflowId":"'$workflow_id'","runId":"'$run_id'"},"waitPolicy":{"lifecycleStage":'
  question=$question'"UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},"request":{"meta":{"updateId":"'$event_id
  question=$question'","identity":"'$identity'"},"input":{"args":["'$event_id'"]}}}'
  if request "$1" update/settled --data-raw "$question"; then
    find_answer "${body#*'"success"'*\{}" && state=answered && return
    answer=${body#*'"failure"'*\{}
    [ "$answer" != "$body" ] || return
    json_member message "$answer" && message=$value || message='no message'
  elif [ "$code" != 404 ]; then return; fi
  if ! request "$1" "history?execution.runId=$run_id&historyEventFilterType=2"; then
    [ "$code" != 404 ] || { [ "$message" ] || { ended=deleted && state=ended; }; } # its retention time is over
    return
  fi
  for key in '"eventId":"' '"eventId": "'; do # the run's result has a verdict for each event
    answer=${body#*"$key$event_id\""}
    [ "$answer" = "$body" ] || { find_answer "$answer" && state=answered && return; }
  done
  ended=${body#*'"EVENT_TYPE_WORKFLOW_EXECUTION_'}
  [ "$ended" = "$body" ] || { ended=${ended%%\"*} && state=ended; }
}
await_settled() {
  sent=1 && read_run
  read_clock && deadline=$((now + wait_seconds * 100))
  while left=$((deadline - now)) && [ $left -ge 10 ]; do
    ask_settled $((left / 100)).$((left % 100 / 10))
    case $state/$message in
      answered/*)
        rm -f "$spool/$event_id.sent" 2>/dev/null
        case $outcome in completed | incomplete) finish 0 "$line" ;; *) finish 1 "$line" ;; esac ;;
      ended/*)
        if [ $sent -ge 5 ]; then
          leave_open
          finish 1 "$workflow_id ended ($ended) without an answer; see it in Temporal Web"
        fi
        post_event && read_run && sent=$((sent + 1)) ;;
      open/?*) finish 1 "$workflow_id did not settle this event: $message" ;;
    esac
    sleep 0.2
    read_clock
  done
  leave_open
  finish 4 "$kind, node $failed: accepted by $workflow_id, not settled in $wait_seconds s${failure:+ ($failure)}"
}

deliver_new() { # to be sent
  { IFS= read -r event <"$file"; } 2>/dev/null || { kept="$file cannot be read" && return 1; }
  kind=${event_id%%-*} failed=${event#*'"node":'} primary=${event#*'"oldPrimary":'}
  failed=${failed%%,*} primary=${primary%%,*}
  { post_event && keep open; } 2>/dev/null || { kept="${failure:-$file cannot be removed} at $temporal" && return; }
  file=$spool/$event_id.open
  [ ! -f "$file" ] || deliver_open
}
deliver_open() { # to be answered
  event_id=${event_id%.open} run_id='' identity=pgpool
  ask_settled 1
  case $state/$message in
    answered/*) rm -f "$file" && return ;;
    ended/* | open/?*) { IFS= read -r event <"$file"; } 2>/dev/null && post_event ;; # the run does not know it
  esac
  kept="$event_id is not answered yet${failure:+ ($failure)} at $temporal" code=''
}
deliver_sent() { # its own hook waits for the answer, unless it was killed
  since=$(date -r "$file" +%s 2>/dev/null) || return
  kept="${event_id%.sent} is waited for by its hook"
  [ $(($(date +%s) - since)) -lt $((wait_seconds + 5)) ] || mv -f "$file" "${file%.sent}.open" 2>/dev/null
}
deliver_all() { # fails while something is kept, which says why
  kept=''
  for file in "$spool"/*; do
    [ -f "$file" ] || continue # another one delivered it
    event_id=${file##*/}
    case $event_id in
      *.open) deliver_open ;;
      *.sent) deliver_sent ;;
      *) deliver_new && [ "$code" = 000 ] && return 1 ;;
    esac
  done 9<&-
  [ -z "$kept" ]
}
is_failover_new() { for file in "$spool"/failover-*; do case $file in *.sent | *.open) ;; *) [ ! -f "$file" ] || return 0 ;; esac done && false; }
deliver() { # one that finds the lock taken leaves its event to the holder, so the holder looks again after the unlock
  [ ! -e "$spool" ] || { [ -r "$spool" ] && [ -w "$spool" ]; } || finish 3 "$(id -un) cannot read and write $spool"
  until is_spool_empty; do
    exec 9<"$spool"
    flock -n 9 || finish 0 "another deliver is at work on $spool"
    pause=1
    until deliver_all; do
      [ $pause -le 2 ] || ! is_failover_new || pause=2 # no client is served while a failover waits
      printf 'pgpool-runbook: %s; next try in %s s\n' "$kept" $pause >&2
      slept=0
      until [ $slept -ge $pause ] || { [ $slept -ge 2 ] && is_failover_new; }; do sleep 1 9<&- && slept=$((slept + 1)); done
      pause=$((pause < 15 ? pause * 2 : 30))
    done
    exec 9<&-
  done
  finish 0 "$spool is empty: every event is delivered"
}

close_inherited "$@"
config=/etc/pgpool-runbook/hook.conf
case $#/${1-} in [2-9]/-c) config=$2 && shift 2 ;; esac
kind=${1-}
case $#/$kind in
  4/failover | 4/follow)
    read_configuration
    read_node %d "$2" && failed=$node
    [ "$failed" != null ] || finish 2 "%d names no node; in pgpool.conf, write: hook.sh $kind %d %m %P"
    read_node %m "$3" && main=$node
    read_node %P "$4" && primary=$node
    make_event
    send_event
    ! is_awaited || await_settled
    finish 0 "$kind, node $failed: reported to $workflow_id" ;;
  1/deliver) read_configuration && deliver ;;
  *) finish 2 'usage: hook.sh [-c FILE] failover|follow %d %m %P, or hook.sh [-c FILE] deliver' ;;
esac
