#!/usr/bin/env bash
# Usage: slurm_cluster.sh start|stop FOLDER
# A Slurm of two nodes on this machine, for tests: munged, slurmctld and two slurmd, all of whose files are in FOLDER.
# Needs root, and what install.sh beside it installs.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 start|stop FOLDER" >&2; exit 2; }
folder=$2
export SLURM_CONF=$folder/slurm.conf

# Ports that nobody listens at, as many as asked for.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys
sockets = [socket.create_server(("", 0)) for _ in range(int(sys.argv[1]))]
print(*(each.getsockname()[1] for each in sockets))
PYTHON
}

write_configuration() {
    local host ports
    host=$(hostname -s)
    read -ra ports <<< "$(free_ports 3)"
    cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/run/munge.sock,cred_expire=5
CredType=cred/munge
SlurmctldPort=${ports[0]}
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd-%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd-%n.log
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
TmpFS=$folder/tmp-%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=128 RealMemory=8192
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=128 RealMemory=8192
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=60 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=preemptible Nodes=n[1-2] MaxTime=60 State=UP PriorityTier=1 GraceTime=30
CONF
}

start() {
    mkdir -p "$folder"/{state,log,run,spool-n1,spool-n2,tmp-n1,tmp-n2}
    chmod 755 "$folder" "$folder/run"
    (umask 377 && head -c 1024 /dev/urandom > "$folder/munge.key")
    munged --force --key-file="$folder/munge.key" --socket="$folder/run/munge.sock" --log-file="$folder/log/munged.log" \
        --pid-file="$folder/run/munged.pid" --seed-file="$folder/run/munge.seed"
    write_configuration
    slurmctld -f "$SLURM_CONF"
    slurmd -f "$SLURM_CONF" -N n1
    slurmd -f "$SLURM_CONF" -N n2
    for _ in $(seq 100); do
        [ "$(sinfo -h -N -p main -o %T 2>/dev/null | grep -c '^idle$')" = 2 ] && return 0
        sleep 0.2
    done
    tail -n 5 "$folder"/log/*.log >&2
    return 1
}

stop() {
    local processes=() process
    for file in "$folder"/run/slurmd-n?.pid "$folder/run/slurmctld.pid" "$folder/run/munged.pid"; do
        [ ! -f "$file" ] || processes+=("$(cat "$file")")
    done
    kill "${processes[@]}" 2>/dev/null || true
    for process in "${processes[@]}"; do
        for _ in $(seq 50); do
            kill -0 "$process" 2>/dev/null || break
            sleep 0.1
        done
    done
}

"$1"
