#!/bin/bash
#SBATCH --job-name=train --ntasks=4 --output=job-%j.out
# Four tasks, one image for each machine that has one of them: the first builds, all others wait for it.
srun --kill-on-bad-exit coopery build --quiet "$DEFINITION"
