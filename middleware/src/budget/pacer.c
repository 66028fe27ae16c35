// budget/pacer.c - the largest budget that costs no frame, found from total frame times.
//
// Additive increase, multiplicative decrease (Chiu and Jain 1989), with a memory: the budget at which a frame was last
// missed is approached slowly, so that the pacer does not keep probing it.
// SPDX-License-Identifier: MIT
#include "budget/pacer.h"

// A frame counts as missed from this share of its target on; frames well within it let the budget grow.
static const double MISSED = 1.05, COMFORT = 0.97;
static const double BACK_OFF = 0.7, GROWTH = 0.02, SLOW_GROWTH = 0.002;
enum { HOLD_FRAMES = 30, CEILING_FRAMES = 1800 };

void rpi_pacer_init(rpi_pacer *pacer, const rp_pacer_def *def)
{
    *pacer = (rpi_pacer){ .budget_us = RPI_MAX(def->most_us / 4.0, (double)def->least_us), .ceiling_us = def->most_us };
}

static double clamp(const rp_pacer_def *def, double budget_us)
{
    return RPI_MIN(RPI_MAX(budget_us, (double)def->least_us), (double)def->most_us);
}

static void miss(rpi_pacer *pacer, const rp_pacer_def *def)
{
    // Without us in it the frame was the game's own affair.
    if (pacer->used_us > 0) {
        pacer->ceiling_us = pacer->budget_us;
        pacer->budget_us = clamp(def, pacer->budget_us * BACK_OFF);
        pacer->hold_frames = HOLD_FRAMES;
    }
    pacer->good_frames = 0;
}

uint32_t rpi_pacer_frame(rpi_pacer *pacer, const rp_pacer_def *def, uint32_t frame_us)
{
    if (pacer->unpaced)
        return def->most_us;
    double target = def->target_frame_us, over = frame_us - target;
    if (frame_us > target * MISSED) {
        miss(pacer, def);
    } else if (pacer->hold_frames > 0) {
        pacer->hold_frames--;
    } else if (frame_us > target * COMFORT && over > 0) {
        pacer->budget_us = clamp(def, pacer->budget_us - over); // close to the edge: give back just that much
    } else if (pacer->used_us * 2 >= pacer->budget_us) { // a budget that nobody used has proved nothing
        bool near_ceiling = pacer->budget_us > pacer->ceiling_us * 0.9;
        // Where the game does not wait for a display, its frame says how much room is left.
        double room = target * COMFORT - frame_us;
        double step = def->most_us * (near_ceiling ? SLOW_GROWTH : GROWTH);
        pacer->budget_us = clamp(def, pacer->budget_us + (room > step ? RPI_MIN(room / 4, step * 4) : step));
        if (++pacer->good_frames >= CEILING_FRAMES) {
            pacer->ceiling_us = def->most_us; // whatever was in the way has long passed
            pacer->good_frames = 0;
        }
    }
    pacer->used_us = 0;
    return (uint32_t)pacer->budget_us;
}

uint32_t rpi_pacer_budget(const rpi_pacer *pacer, const rp_pacer_def *def)
{
    return pacer->unpaced ? def->most_us : (uint32_t)pacer->budget_us;
}
