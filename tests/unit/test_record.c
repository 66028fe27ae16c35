// Recordings: what was said is said again, on other frames, threads and kernels; what was changed is noticed.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scenarios/scenarios.h"

static char path[64];

static rp_world_def play_def(rt_model *model)
{
    rp_world_def def = rp_default_world_def();
    def.model = model;
    return def;
}

static char *read_all(size_t *size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    *size = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static void write_all(const char *text, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    fclose(file);
}

static void test_recordings(void **state)
{
    (void)state;
    static scenario_result result;
    rt_model *model = NULL, *scalar = NULL;
    assert_int_equal(scenario_open_model(scenario_tiny_model(), RT_ISA_AUTO, &model), RT_OK);
    assert_int_equal(scenario_open_model(scenario_tiny_model(), RT_ISA_SCALAR, &scalar), RT_OK);
    snprintf(path, sizeof path, "/tmp/repartee-recording-%d", (int)getpid());
    scenario_def scenario = scenario_default(model);
    scenario.tools = scenario.emotions = true;
    scenario.others = 1;
    scenario.reply_tokens = 12;
    scenario.budget_us = 700;
    scenario.recording = path;
    assert_int_equal(scenario_play(&scenario, &result), RT_OK);
    assert_true(result.calls > 0);

    rp_replay replay;
    rp_world_def def = play_def(model);
    rt_result code = rp_recording_play(path, &def, RP_BUDGET_UNLIMITED, &replay);
    if (code != RT_OK)
        fail_msg("%s", rt_error_message());
    if (replay.different > 0)
        fail_msg("line %d: recorded \"%s\", played \"%s\"", (int)replay.first_line, replay.recorded, replay.played);
    assert_true(replay.turns >= SCENARIO_CHARACTERS * SCENARIO_ROUNDS);
    int32_t turns = replay.turns;
    def = play_def(scalar);
    def.worker_count = 1;
    assert_int_equal(rp_recording_play(path, &def, 400, &replay), RT_OK);
    assert_int_equal(replay.turns, turns);
    assert_int_equal(replay.different, 0);

    // A word that was never said is found, and where.
    size_t size;
    char *text = read_all(&size), *reply = strstr(text, "\"end\": \"done\", \"reply\": \"");
    assert_non_null(reply);
    char *changed = calloc(1, size + 2);
    size_t at = (size_t)(reply - text) + strlen("\"end\": \"done\", \"reply\": \"");
    memcpy(changed, text, at);
    changed[at] = '~';
    memcpy(changed + at + 1, text + at, size - at);
    write_all(changed, size + 1);
    def = play_def(model);
    assert_int_equal(rp_recording_play(path, &def, RP_BUDGET_UNLIMITED, &replay), RT_OK);
    assert_int_equal(replay.different, 1);
    assert_true(replay.first_line > 1 && replay.recorded[0] == '~');

    // Damaged files are errors or differences, never worse.
    for (size_t cut = 1; cut < size; cut += size / 12 + 1) {
        write_all(text, cut);
        code = rp_recording_play(path, &def, RP_BUDGET_UNLIMITED, &replay);
        assert_true(code == RT_OK || code == RT_ERROR_BAD_FILE || code == RT_ERROR_INVALID_ARGUMENT || code == RT_ERROR_BAD_TEXT);
    }
    for (size_t i = 0; i < size; i += size / 25 + 1) {
        memcpy(changed, text, size);
        changed[i] ^= 0x15;
        write_all(changed, size);
        rp_recording_play(path, &def, RP_BUDGET_UNLIMITED, &replay);
    }
    remove(path);
    assert_int_equal(rp_recording_play(path, &def, 100, &replay), RT_ERROR_IO);
    free(text);
    free(changed);
    rt_model_close(model);
    rt_model_close(scalar);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_recordings) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
