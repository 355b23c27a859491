#!/bin/bash
# Run a SLURM cluster of one node on this machine, and let jobs join a sweep: submission, preemption, requeue, time limit.
#
# Needs Debian's slurm-wlm and munge, root, and the extra slurm: apt-get install slurm-wlm munge; pip install -e '.[slurm]'
# benchmarks/slurm_here.sh [FOLDER]    FOLDER: where everything is written, by default a new temporary folder.
# PYTHON: the interpreter, by default python. MINUTES: time limit of a job, by default 2.
set -euo pipefail
folder=$(realpath -m "${1:-$(mktemp -d -t slurm-here-XXXX)}")
python=${PYTHON:-python}
minutes=${MINUTES:-2}
cores=$(nproc --all)
host=$(hostname -s)
for tool in slurmctld slurmd munged sbatch; do
    command -v "$tool" > /dev/null || { echo "skipped: $tool is not installed (apt-get install slurm-wlm munge)"; exit 0; }
done
[ "$(id -u)" = 0 ] || { echo "skipped: slurmd needs root"; exit 0; }
mkdir -p "$folder"/{munge,state,spool}
chmod 711 "$folder" "$folder/munge"
export SLURM_CONF=$folder/slurm.conf

# --- the cluster
dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 400 "$folder/munge/key"
cat > "$SLURM_CONF" << CONF
ClusterName=here
SlurmctldHost=$host(localhost)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=60
MessageTimeout=60
SlurmdTimeout=600
NodeName=$host NodeAddr=localhost CPUs=$cores State=UNKNOWN
PartitionName=low Nodes=$host Default=YES PriorityTier=1 PreemptMode=REQUEUE State=UP
PartitionName=high Nodes=$host PriorityTier=10 PreemptMode=OFF State=UP
CONF
sed -i '/^CryptoType/d' "$SLURM_CONF"
started=()
finish() {
    scancel --user root 2> /dev/null && sleep 5 || true
    for pid in "${started[@]}"; do kill "$pid" 2> /dev/null || true; done
    wait 2> /dev/null || true
}
trap finish EXIT
munged --foreground --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" > /dev/null 2>&1 & started+=($!)
sleep 1
slurmctld -D > /dev/null 2>&1 & started+=($!)
slurmd -D > /dev/null 2>&1 & started+=($!)
for _ in $(seq 60); do
    sinfo --noheader --format=%T 2> /dev/null | grep -q idle && break
    sleep 1
done
sinfo

# --- a sweep by jobs
cat > "$folder/points.yaml" << YAML
name: points
task: generation
datasets: [eight_gaussians]
models: [{mlp: {width: 16, depth: 1}}]
constraints: [none, spectral_normalization]
seeds: [0, 1]
training: {steps: ${STEPS:-20000}, batch_size: 16}
evaluation: {every: ${STEPS:-20000}, samples: 32, gradient_samples: 4}
YAML
cd "$folder"
lipschitz() { "$python" -m lipschitz "$@"; }
lipschitz sweep points.yaml --slurm "partition=low,time=$minutes,cpus-per-task=1" --jobs "$cores" --workers 1 \
    --no-report --checkpoint-seconds 30
say() { echo "== $(date +%T) $*"; }
wait_for() {
    local what=$1
    shift
    for _ in $(seq 900); do
        "$@" && { say "$what"; return; }
        sleep 1
    done
    say "not seen: $what"
    return 1
}
claimed() { compgen -G "results/points/joined/claims/*.1" > /dev/null; }
begun() { compgen -G "results/points/runs/*/attempt-*/heartbeat.json" > /dev/null; }
restarted() { scontrol show job 2> /dev/null | grep -q "Restarts=[1-9]"; }
over() { [ "$(compgen -G "results/points/runs/*/result.json" | wc -l)" = 4 ]; }
wait_for "a run is claimed and begun" begun
squeue
lipschitz status results/points || true
say "a job of the partition high preempts them"
sbatch --partition=high --exclusive --time=2 --output=/dev/null --wrap "sleep 10"
wait_for "a job was requeued" restarted
squeue
wait_for "all runs are over" over
scontrol show job | grep -E "JobId|JobState|Restarts" || true
grep -hE "Preempt|[Rr]equeue|TIME LIMIT|Signal" "$folder/slurmctld.log" | tail -20 || true

# --- the same bits as one process alone
cp points.yaml alone.yaml
lipschitz sweep alone.yaml --out results/alone --workers 1 --no-report > alone.log
"$python" - << 'PY'
import json
from pathlib import Path


def read(folder):
    return {
        path.parent.name: [(r["step"], r["metric"], r["value"]) for r in map(json.loads, path.read_text().splitlines())]
        for path in Path(folder).glob("runs/*/records.jsonl")
    }


joined, alone = read("results/points"), read("results/alone")
origins = [
    len(json.loads(path.read_text())["provenance"]) for path in Path("results/points").glob("runs/*/run.json")
]
print(f"runs {len(joined)}, processes that trained each of them {origins}, records equal: {joined == alone}")
raise SystemExit(joined != alone)
PY
