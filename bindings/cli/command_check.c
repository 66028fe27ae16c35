// repartee check: scripts, without a model and without a game.
// SPDX-License-Identifier: MIT
#include "commands.h"
#include "options.h"
#include "shared.h"

#include "repartee_lua/host.h"

#define MAX_FILES 1024

// Each file is checked in a host of its own: one script's mistake says nothing about the next.
static int check_file(const char *path, rt_vocabulary *vocabulary)
{
    rp_lua_def def = rp_default_lua_def();
    def.host = cli_host();
    def.vocabulary = vocabulary;
    rp_lua *lua;
    if (rp_lua_create(&def, &lua) != RT_OK)
        return failure("check", NULL);
    int exit_code = EXIT_DONE;
    if (rp_lua_load(lua, path) != RT_OK) {
        // The message begins with file:line where Lua or a schema knows one, so that editors can jump there.
        fprintf(stderr, "%s\n", rt_error_message());
        exit_code = EXIT_FAILED;
    } else {
        rp_lua_stats stats;
        rp_lua_get_stats(lua, &stats);
        printf("%s: %d character%s, %d tool%s\n", path, (int)stats.characters, stats.characters == 1 ? "" : "s",
               (int)stats.tools, stats.tools == 1 ? "" : "s");
    }
    rp_lua_destroy(lua);
    return exit_code;
}

int command_check(int argc, char **argv)
{
    const char *files[MAX_FILES];
    tokenizer_options source = {0};
    const option options[] = {
        {"model", OPTION_TEXT, &source.model, "FILE", "compile every schema over this model's vocabulary as well", 0, 0},
        {"tokenizer", OPTION_TEXT, &source.file, "FILE", "the same with a tokenizer file", 0, 0},
    };
    command_line line = {
        .command = "check",
        .usage = "FILE.lua...",
        .about = "Loads scripts without a model or a game and says what is wrong with them: file, line, what to do.",
        OPTIONS(options),
        .least_operands = 1,
        .most_operands = MAX_FILES,
        .operands = files,
    };
    int exit_code;
    if (!command_line_parse(&line, argc, argv, &exit_code))
        return exit_code;
    rt_vocabulary *vocabulary = NULL;
    if (source.model || source.file) {
        rt_tokenizer *opened;
        exit_code = open_tokenizer("check", &source, &opened);
        if (exit_code != EXIT_DONE)
            return exit_code;
        rt_host host = cli_host();
        rt_result result = rt_vocabulary_create(opened, &host, &vocabulary);
        rt_tokenizer_close(opened);
        if (result != RT_OK)
            return failure("check", NULL);
    }
    exit_code = EXIT_DONE;
    for (int i = 0; i < line.operand_count; i++)
        if (check_file(files[i], vocabulary) != EXIT_DONE)
            exit_code = EXIT_FAILED;
    rt_vocabulary_release(vocabulary);
    return exit_code;
}
