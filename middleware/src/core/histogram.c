// core/histogram.c - how often a figure was how large, four buckets to an octave.
// SPDX-License-Identifier: MIT
#include "core/core.h"

#include <math.h>

void rpi_histogram_add(rp_histogram *histogram, double value)
{
    int bucket = 0;
    if (value >= 1.0)
        bucket = (int)(log2(value) * 4.0);
    bucket = RPI_MIN(RPI_MAX(bucket, 0), RP_HISTOGRAM_BUCKETS - 1);
    histogram->buckets[bucket]++;
    histogram->count++;
    if (value > histogram->max)
        histogram->max = value < 4e9 ? (uint32_t)ceil(value) : UINT32_MAX;
}

double rp_histogram_quantile(const rp_histogram *histogram, double share)
{
    if (histogram == NULL || histogram->count == 0)
        return 0;
    double wanted = RPI_MIN(RPI_MAX(share, 0.0), 1.0) * (double)histogram->count, seen = 0;
    for (int i = 0; i < RP_HISTOGRAM_BUCKETS; i++) {
        double inside = (double)histogram->buckets[i];
        if (inside > 0 && seen + inside >= wanted) {
            double low = i == 0 ? 0 : exp2(i / 4.0), high = exp2((i + 1) / 4.0);
            double value = low + (high - low) * (wanted - seen) / inside;
            return RPI_MIN(value, (double)histogram->max);
        }
        seen += inside;
    }
    return histogram->max;
}
