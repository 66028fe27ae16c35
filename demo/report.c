// report.c - the evening in words and figures.
// SPDX-License-Identifier: MIT
#include "report.h"

#include <stdio.h>
#include <string.h>

static void print_times(const char *what, percentiles p)
{
    printf("  %-28s p50 %8.3f   p99 %8.3f   p99.9 %8.3f   max %8.3f ms\n", what, p.p50 / 1000, p.p99 / 1000, p.p999 / 1000,
           p.max / 1000);
}

// The calls between two frames, indented under the line that led to them.
static void print_calls(const game *g, int from, int to)
{
    for (int i = 0; i < g->call_count; i++) {
        const made_call *c = &g->calls[i];
        if (c->frame >= from && c->frame < to) {
            printf("      -> %s calls %s %s: %s", g->people[c->who].name, c->name, c->arguments, c->status);
            if (c->result[0]) {
                printf(": %s", c->result);
            }
            if (c->answered_frame > c->frame) {
                printf(" (%d frames later)", c->answered_frame - c->frame);
            }
            printf("\n");
        }
    }
}

void report_print(const report_def *def, const minds *m, const frame_times *times)
{
    const game *g = m->game;
    printf("The conversation:\n");
    for (int i = 0; i < g->line_count; i++) {
        const spoken_line *line = &g->lines[i];
        printf("  %s%s: %s\n", line->speaker, line->ambient ? " (to the room)" : "", line->text + strspn(line->text, " \n"));
        if (line->who == NOBODY) { // what was called for, until the player speaks again
            int until = g->frame + 1;
            for (int k = i + 1; k < g->line_count && until > g->frame; k++) {
                until = g->lines[k].who == NOBODY ? g->lines[k].frame : until;
            }
            print_calls(g, line->frame, until);
        }
    }
    printf("The game: %d gold left, %d %s poured, %s key, %s map, %s soup\n", g->gold, g->cup_count,
           g->cup_count == 1 ? "cup" : "cups", g->has_key ? "a" : "no", g->has_map ? "a" : "no", g->has_soup ? "hot" : "no");
    if (def->budget_us == RP_BUDGET_PACED) {
        printf("Frames: %d, the minds had what they left\n", times->count);
    } else {
        printf("Frames: %d, at most %u us of each for the minds\n", times->count, def->budget_us);
    }
    if (def->load) {
        gpu_load_info load;
        gpu_load_get_info(def->load, &load);
        printf("OpenGL load: %.2f ms a frame alone, on %s%s\n", load.milliseconds, load.renderer,
               load.is_cuda_device ? ", the device that CUDA computes on" : "");
    }
    print_times("minds", times_percentiles(times, 0, 0));
    print_times("game and drawing", times_percentiles(times, 0, 1));
    print_times("together", times_percentiles(times, 0, 2));
    rp_stats stats;
    rp_world_get_stats(m->world, &stats);
    printf("Minds: %llu tokens read (%llu found again), %llu spoken, %llu calls, none chosen %llu times, "
           "past the budget p99 %.0f us, max %u us\n",
           (unsigned long long)stats.prefill_tokens, (unsigned long long)stats.reused_tokens,
           (unsigned long long)stats.decode_tokens, (unsigned long long)stats.calls_made, (unsigned long long)stats.choices_none,
           rp_histogram_quantile(&stats.overshoot, 0.99), stats.overshoot.max);
    if (def->picture) {
        printf("The picture: %s\n", def->picture);
    }
}

static void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\') {
            fprintf(file, "\\%c", *c);
        } else if (*c < 0x20) {
            fprintf(file, "\\u%04x", *c);
        } else {
            fputc(*c, file);
        }
    }
    fputc('"', file);
}

static void write_times(FILE *file, const char *name, percentiles p)
{
    fprintf(file, "  \"%s\": {\"p50\": %.0f, \"p99\": %.0f, \"p999\": %.0f, \"max\": %.0f},\n", name, p.p50, p.p99, p.p999, p.max);
}

static void write_conversation(FILE *file, const game *g)
{
    fprintf(file, "  \"conversation\": [");
    for (int i = 0; i < g->line_count; i++) {
        fprintf(file, "%s\n    {\"frame\": %d, \"ambient\": %s, \"speaker\": ", i ? "," : "", g->lines[i].frame,
                g->lines[i].ambient ? "true" : "false");
        write_text(file, g->lines[i].speaker);
        fprintf(file, ", \"text\": ");
        write_text(file, g->lines[i].text);
        fprintf(file, "}");
    }
    fprintf(file, "],\n  \"calls\": [");
    for (int i = 0; i < g->call_count; i++) {
        const made_call *c = &g->calls[i];
        fprintf(file, "%s\n    {\"frame\": %d, \"answered_frame\": %d, \"character\": ", i ? "," : "", c->frame, c->answered_frame);
        write_text(file, g->people[c->who].key);
        fprintf(file, ", \"name\": ");
        write_text(file, c->name);
        fprintf(file, ", \"arguments\": %s, \"status\": \"%s\", \"result\": ", c->arguments[0] ? c->arguments : "{}", c->status);
        write_text(file, c->result);
        fprintf(file, "}");
    }
    fprintf(file, "],\n");
}

bool report_write(const report_def *def, const minds *m, const frame_times *times)
{
    FILE *file = fopen(def->path, "wb");
    if (!file) {
        fprintf(stderr, "griffin: %s cannot be written\n", def->path);
        return false;
    }
    const game *g = m->game;
    rp_stats stats;
    rp_world_get_stats(m->world, &stats);
    fprintf(file, "{\n  \"frames\": %d,\n  \"budget_us\": %u,\n", times->count, def->budget_us);
    write_times(file, "minds_us", times_percentiles(times, 0, 0));
    write_times(file, "rest_us", times_percentiles(times, 0, 1));
    write_times(file, "frame_us", times_percentiles(times, 0, 2));
    fprintf(file, "  \"overshoot_us\": {\"p50\": %.0f, \"p99\": %.0f, \"p999\": %.0f, \"max\": %u},\n",
            rp_histogram_quantile(&stats.overshoot, 0.5), rp_histogram_quantile(&stats.overshoot, 0.99),
            rp_histogram_quantile(&stats.overshoot, 0.999), stats.overshoot.max);
    fprintf(file, "  \"tokens\": {\"read\": %llu, \"reused\": %llu, \"spoken\": %llu},\n",
            (unsigned long long)stats.prefill_tokens, (unsigned long long)stats.reused_tokens,
            (unsigned long long)stats.decode_tokens);
    fprintf(file, "  \"allocations_in_update\": %llu,\n  \"choices_none\": %llu,\n",
            (unsigned long long)stats.allocations_in_update, (unsigned long long)stats.choices_none);
    write_conversation(file, g);
    fprintf(file, "  \"game\": {\"gold\": %d, \"cups\": %d, \"key\": %s, \"map\": %s, \"soup\": %s},\n", g->gold, g->cup_count,
            g->has_key ? "true" : "false", g->has_map ? "true" : "false", g->has_soup ? "true" : "false");
    fprintf(file, "  \"picture\": ");
    if (def->picture) {
        write_text(file, def->picture);
    } else {
        fprintf(file, "null");
    }
    fprintf(file, "\n}\n");
    bool fine = ferror(file) == 0;
    fine = fclose(file) == 0 && fine;
    if (!fine) {
        fprintf(stderr, "griffin: %s cannot be written\n", def->path);
    }
    return fine;
}
