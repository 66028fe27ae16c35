// commands.h - what the `repartee` command can do. Each gives the process's exit code: see options.h.
// SPDX-License-Identifier: MIT
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

int command_chat(int argc, char **argv);
int command_check(int argc, char **argv);
int command_tokens(int argc, char **argv);
int command_prompt(int argc, char **argv);
int command_logits(int argc, char **argv);
int command_mask(int argc, char **argv);
int command_sample(int argc, char **argv);
int command_call(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_bench_model(int argc, char **argv);
int command_bench_memory(int argc, char **argv);
int command_bench_frame(int argc, char **argv);
int command_bench_slices(int argc, char **argv);
int command_bench_focus(int argc, char **argv);
int command_bench_crowd(int argc, char **argv);
int command_bench_tokens(int argc, char **argv);
int command_bench_cache(int argc, char **argv);
int command_bench_device(int argc, char **argv);
int command_frame(int argc, char **argv);
int command_synth(int argc, char **argv);
int command_quantize(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_replay(int argc, char **argv);

#endif
