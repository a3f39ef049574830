#!/bin/sh
#SBATCH --job-name=fairaudit
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --time=02:00:00
#SBATCH --requeue
# One audit on every GPU of two nodes. Each process runs the model over its share of the images; the first one joins the
# shares, audits them and writes the run folder, which all nodes must see. Without GPUs: PROCESSES=2 for two per node.
# A job that is preempted, or loses a node, is queued again and goes on with what it had predicted (--resume).
set -e
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-$SLURM_GPUS_ON_NODE}" --rdzv-id "$SLURM_JOB_ID" \
  --rdzv-backend c10d --rdzv-endpoint "$first:${PORT:-29500}" \
  -m fairaudit evaluate model.pt --data fairface --exit-zero --out runs/slurm --resume
# torchrun keeps only zero and non-zero of an exit code, so the gate comes after it: 1 fails, 3 cannot be decided.
fairaudit gate runs/slurm --policy policy.toml
