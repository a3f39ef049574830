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
#
# How long, on paper: a core of a 2.8 GHz Xeon takes 21 images a second through ResNet-18 at 224 pixels in fp32, decoding
# included (python -m tests.benchmarks): CelebA's 202,599 images are 2.6 core-hours, a hundred million 1,300, which eight
# cores do in a week. Auditing their table takes half a minute more, in 0.25 GiB. Training takes 25 images a second at 112
# pixels: nine arms of mitigate, five seeds, ten epochs over FairFace's 86,744 images are 430 core-hours, a week of three
# cores; above a frozen backbone an epoch after the first takes a 450th of the time. That cores add up was seen for two;
# no GPU was measured.
set -e
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "${PROCESSES:-$SLURM_GPUS_ON_NODE}" --rdzv-id "$SLURM_JOB_ID" \
  --rdzv-backend c10d --rdzv-endpoint "$first:${PORT:-29500}" \
  -m fairaudit evaluate model.pt --data fairface --exit-zero --out runs/slurm --resume
# torchrun keeps only zero and non-zero of an exit code, so the gate comes after it: 1 fails, 3 cannot be decided.
fairaudit gate runs/slurm --policy policy.toml
