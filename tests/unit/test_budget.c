// What budgets are made of: the cost table's predictions and margins, and the reserve, on made-up measurements.
// SPDX-License-Identifier: MIT
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "budget/cost.h"
#include "budget/reserve.h"

// ---------------------------------------------------------------------------------------------------------------------
// The cost table
// ---------------------------------------------------------------------------------------------------------------------

static rt_part make_part(rt_part_kind kind, int32_t rows, uint64_t bytes)
{
    return (rt_part){ .kind = kind, .rows = rows, .bytes = bytes, .operations = bytes * (uint64_t)rows, .context = rows * 100 };
}

static uint32_t noise_state = 1;

static double noise(void) // -1 .. 1
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (noise_state >> 8) / 8388608.0 - 1;
}

// A machine: so many nanoseconds a byte, more with rows, with noise.
static uint32_t takes(const rt_part *part, double speed)
{
    return (uint32_t)((500 + (double)part->bytes * 0.05 * (1 + part->rows * 0.2)) * speed * (1 + 0.03 * noise()));
}

static void test_costs_are_learned(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    static const int32_t rows[] = { 1, 2, 8, 32, 128 };
    for (int i = 0; i < 2000; i++) {
        rt_part part = make_part((rt_part_kind)(i % RT_PART_KIND_COUNT), rows[i % 5], 20000 + (uint64_t)(i % 7) * 10000);
        part.measured_ns = takes(&part, 1);
        rpi_cost_learn(&table, &part);
    }
    for (int kind = 0; kind < RT_PART_KIND_COUNT; kind++) {
        for (int i = 0; i < 5; i++) {
            rt_part part = make_part((rt_part_kind)kind, rows[i], 50000);
            double expected = rpi_cost_expect(&table, &part), measured = takes(&part, 1);
            assert_true(expected > measured * 0.8 && expected < measured * 1.25);
            rpi_cost_learn_slice(&table, expected, measured);
        }
    }
}

// Some layers lie in slower memory than others.
static void test_layers_differ(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    double worst = 0;
    for (int i = 0; i < 6000; i++) {
        rt_part part = make_part(RT_PART_FEED_FORWARD_UP, 1, 1000000);
        part.layer = i % 30;
        part.measured_ns = takes(&part, part.layer / 5 % 2 ? 1.1 : 1.0);
        double expected = rpi_cost_expect(&table, &part) / takes(&part, part.layer / 5 % 2 ? 1.1 : 1.0);
        rpi_cost_learn(&table, &part);
        if (i >= 4000 && fabs(expected - 1) > worst)
            worst = fabs(expected - 1);
    }
    assert_true(worst < 0.055); // the noise alone is 0.03
}

// A slice of one piece.
static void learn_alone(rpi_cost_table *table, const rt_part *part)
{
    double expected = rpi_cost_expect(table, part);
    rpi_cost_learn(table, part);
    rpi_cost_learn_slice(table, expected, part->measured_ns);
}

// The machine slows down: pieces of a kind that has not run since are expected to take longer too. One piece that an
// interrupt made longer says nothing about the others.
static void test_the_machine_changes_its_speed(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    rt_part part, other = make_part(RT_PART_ATTENTION, 1, 60000);
    for (int i = 0; i < 6000; i++) {
        part = make_part((rt_part_kind)(i % RT_PART_KIND_COUNT), 1, 60000 + (uint64_t)(i % 5) * 200000);
        part.measured_ns = takes(&part, 1);
        learn_alone(&table, &part);
    }
    const double usual = rpi_cost_expect(&table, &other);
    part = make_part(RT_PART_QKV, 1, 460000);
    part.measured_ns = takes(&part, 1) + 43000;
    learn_alone(&table, &part);
    assert_true(fabs(rpi_cost_expect(&table, &other) / usual - 1) < 0.04);
    double took = 0;
    for (int i = 0; took < 600e3; i++) {
        part = make_part((rt_part_kind)(RT_PART_ATTENTION_OUT + i % 3), 1, 460000 + (uint64_t)(i % 3) * 200000);
        part.measured_ns = takes(&part, 1.5);
        took += part.measured_ns;
        learn_alone(&table, &part);
    }
    double slow = rpi_cost_expect(&table, &other) / usual;
    assert_true(slow > 1.35 && slow < 1.6);
}

// Margins are what all but few slices stay within, and the last slices of a budget keep it.
static void test_margins_are_quantiles(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    for (int i = 0; i < 20000; i++)
        rpi_cost_learn_slice(&table, 50000, 50000 * (i % 50 == 0 ? 1.5 : 1 + 0.05 * noise()));
    double plan = rpi_cost_slice_plan(&table, 50000);
    assert_true(plan > 50000 * 1.05 && plan < 50000 * 1.6);
    rpi_cost_init(&table, 1);
    for (int i = 0; i < 20000; i++)
        rpi_cost_learn_slice(&table, 50000, 50000 * (i % 50 == 0 ? 1.5 : 1 + 0.05 * noise()));
    plan = rpi_cost_slice_plan(&table, 50000);
    assert_true(plan > 50000 && plan < 50000 * 1.06);
    double left = 10e6, slices = 0;
    while (left > 10e3) {
        double budget = rpi_cost_slice_budget(&table, left, false);
        double whole = rpi_cost_slice_budget(&table, left, true);
        assert_true(budget > 0 && budget < left && budget <= whole);
        assert_true(whole > left / 3.01 && rpi_cost_slice_plan(&table, whole) < left * 1.6); // one that nothing follows
        left -= budget;
        slices++;
    }
    assert_true(slices > 10 && slices < 60);
}

static void test_a_debugger_stop_is_not_believed(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    rt_part part = make_part(RT_PART_QKV, 4, 50000);
    for (int i = 0; i < 100; i++) {
        part.measured_ns = takes(&part, 1);
        rpi_cost_learn(&table, &part);
    }
    double before = rpi_cost_expect(&table, &part);
    part.measured_ns = 3000000000u;
    rpi_cost_learn(&table, &part);
    assert_true(rpi_cost_expect(&table, &part) == before);
    part.measured_ns = 0; // a clock that stood still
    rpi_cost_learn(&table, &part);
    assert_true(rpi_cost_expect(&table, &part) == before);
    // A processor that has slowed down for good is believed soon.
    for (int i = 0; i < 60; i++) {
        part.measured_ns = takes(&part, 5);
        rpi_cost_learn(&table, &part);
    }
    double after = rpi_cost_expect(&table, &part);
    assert_true(after > before * 4 && after < before * 6);
}

static void test_unseen_cells_borrow(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    rt_part part = make_part(RT_PART_QKV, 4, 50000);
    for (int i = 0; i < 50; i++) {
        part.measured_ns = 100000;
        rpi_cost_learn(&table, &part);
    }
    rt_part near = make_part(RT_PART_QKV, 5, 50000), other = make_part(RT_PART_LOGITS, 4, 50000);
    assert_true(rpi_cost_expect(&table, &near) > 50000);
    assert_true(rpi_cost_expect(&table, &other) > 50000);
}

static void test_chores_are_learned(void **state)
{
    (void)state;
    static rpi_cost_table table;
    rpi_cost_init(&table, 3);
    for (int i = 0; i < 200; i++)
        rpi_chore_learn(&table, RPI_CHORE_SAMPLE, 1, 40000 * (1 + 0.05 * noise()));
    double expected = rpi_chore_expect(&table, RPI_CHORE_SAMPLE, 1);
    assert_true(expected > 36000 && expected < 44000);
    assert_true(rpi_chore_plan(&table, RPI_CHORE_SAMPLE, 1) < 60000);
}

// ---------------------------------------------------------------------------------------------------------------------
// The reserve
// ---------------------------------------------------------------------------------------------------------------------

// Updates that an interrupt makes late now and then: fewer than one in a thousand ends behind its budget, and little is kept
// free for that; once the machine is calm, next to nothing.
static void test_the_reserve_follows_the_machine(void **state)
{
    (void)state;
    rpi_reserve reserve;
    rpi_reserve_init(&reserve);
    const uint64_t budget_ns = 8000000;
    int late = 0;
    double kept = 0;
    for (int i = 0; i < 120000; i++) {
        uint64_t free_ns = rpi_reserve_of(&reserve, budget_ns);
        double over_ns = fabs(noise()) < 0.03 ? 20e3 + 60e3 * fabs(noise()) : -2e3;
        uint64_t used_ns = (uint64_t)((double)(budget_ns - free_ns) + over_ns);
        rpi_reserve_learn(&reserve, used_ns, budget_ns);
        late += i >= 20000 && used_ns > budget_ns;
        kept += i >= 20000 ? (double)free_ns : 0;
    }
    assert_true(late < 100);
    assert_true(kept / 100000 > 60e3 && kept / 100000 < 100e3); // interrupts take up to 80
    for (int i = 0; i < 20000; i++)
        rpi_reserve_learn(&reserve, budget_ns - rpi_reserve_of(&reserve, budget_ns) - 2000, budget_ns);
    assert_true(rpi_reserve_of(&reserve, budget_ns) < 5000);
    rpi_reserve_init(&reserve);
    assert_true(rpi_reserve_of(&reserve, 200000) <= 10000); // never more than a share of a small budget
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_are_learned),
        cmocka_unit_test(test_layers_differ),
        cmocka_unit_test(test_the_machine_changes_its_speed),
        cmocka_unit_test(test_margins_are_quantiles),
        cmocka_unit_test(test_a_debugger_stop_is_not_believed),
        cmocka_unit_test(test_unseen_cells_borrow),
        cmocka_unit_test(test_chores_are_learned),
        cmocka_unit_test(test_the_reserve_follows_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
