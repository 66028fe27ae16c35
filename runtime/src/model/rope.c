// model/rope.c - rotary position embeddings: frequencies in double, every kind of scaling already in them.
//
// Su et al. 2021, arXiv:2104.09864. Linear: Chen et al. 2023, arXiv:2306.15595. YaRN: Peng et al. 2023, arXiv:2309.00071.
// Long: Ding et al. 2024, arXiv:2402.13753. Llama 3: as in the reference code of Llama 3.1.
// SPDX-License-Identifier: MIT
#include "model/architecture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

// config.json has known three homes for the same numbers.
static bool find_scaling_float(const rti_reader *reader, const char *gguf, const char *name, double *value)
{
    char key[96];
    if (reader->is_gguf)
        return gguf && rti_find_float(reader, gguf, NULL, value);
    snprintf(key, sizeof key, "rope_scaling.%s", name);
    if (rti_find_float(reader, NULL, key, value))
        return true;
    snprintf(key, sizeof key, "rope_parameters.%s", name);
    if (rti_find_float(reader, NULL, key, value))
        return true;
    snprintf(key, sizeof key, "rope_parameters.full_attention.%s", name);
    return rti_find_float(reader, NULL, key, value);
}

static const char *scaling_type(const rti_reader *reader)
{
    static const char *const keys[] = {"rope_scaling.rope_type", "rope_scaling.type", "rope_parameters.rope_type",
                                       "rope_parameters.full_attention.rope_type"};
    const char *type = reader->is_gguf ? rti_find_string(reader, "rope.scaling.type", NULL) : NULL;
    for (size_t i = 0; !reader->is_gguf && !type && i < RTI_COUNT(keys); i++)
        type = rti_find_string(reader, NULL, keys[i]);
    return type ? type : "none";
}

static rt_result raise_rope(const rti_reader *reader, const char *what)
{
    return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: RoPE: %s", rti_file_path(reader->file), what);
}

static rt_result scale_linear(const rti_reader *reader, rti_rope *rope)
{
    double factor = 1;
    if (!find_scaling_float(reader, "rope.scaling.factor", "factor", &factor) &&
        !find_scaling_float(reader, "rope.scale_linear", "factor", &factor))
        return raise_rope(reader, "linear scaling without a factor");
    if (!(factor >= 1e-3 && factor <= 1e6))
        return raise_rope(reader, "a scaling factor that is no sensible number");
    for (int32_t i = 0; i < rope->rotated / 2; i++)
        rope->frequency[i] /= factor;
    return RT_OK;
}

// The index of the dimension that turns `rotations` times in the original context.
static double yarn_dimension(double rotations, int32_t rotated, double base, double context)
{
    return rotated * log(context / (rotations * 2 * pi)) / (2 * log(base));
}

static rt_result scale_yarn(const rti_reader *reader, rti_rope *rope, double base)
{
    double original = reader->network->context_size, factor = 0, fast = 32, slow = 1, attention = 0;
    double mscale = 0, mscale_all = 0, log_multiplier = 0;
    find_scaling_float(reader, "rope.scaling.original_context_length", "original_max_position_embeddings", &original);
    if (!find_scaling_float(reader, "rope.scaling.factor", "factor", &factor) && original >= 1)
        factor = reader->network->context_size / original;
    find_scaling_float(reader, "rope.scaling.yarn_beta_fast", "beta_fast", &fast);
    find_scaling_float(reader, "rope.scaling.yarn_beta_slow", "beta_slow", &slow);
    find_scaling_float(reader, NULL, "mscale", &mscale);
    find_scaling_float(reader, NULL, "mscale_all_dim", &mscale_all);
    find_scaling_float(reader, "rope.scaling.yarn_log_multiplier", "", &log_multiplier);
    if (!(factor >= 1e-3 && factor <= 1e6) || !(original >= 1 && original <= 1e9) || !(fast > 0) || !(slow > 0) ||
        !(base > 1) || log_multiplier != 0 || !isfinite(fast) || !isfinite(slow))
        return raise_rope(reader, "YaRN scaling with numbers that are missing or make no sense");

    double low = floor(yarn_dimension(fast, rope->rotated, base, original));
    double high = ceil(yarn_dimension(slow, rope->rotated, base, original));
    low = RTI_MAX(low, 0);
    high = RTI_MIN(high, rope->rotated - 1);
    if (low == high)
        high += 0.001;
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        double ramp = RTI_MIN(RTI_MAX((i - low) / (high - low), 0.0), 1.0); // 0: kept, 1: divided
        rope->frequency[i] = rope->frequency[i] * (1 - ramp) + rope->frequency[i] / factor * ramp;
    }
    double step = factor > 1 ? 0.1 * log(factor) : 0;
    rope->magnitude = step + 1;
    if (mscale > 0 && mscale_all > 0)
        rope->magnitude = (step * mscale + 1) / (step * mscale_all + 1);
    if (find_scaling_float(reader, NULL, "attention_factor", &attention))
        rope->magnitude = attention;
    if (find_scaling_float(reader, "rope.scaling.attn_factor", "", &attention) ||
        find_scaling_float(reader, "rope.scaling.yarn_attn_factor", "", &attention))
        rope->magnitude *= attention;
    return rope->magnitude > 0 && rope->magnitude < 100 ? RT_OK : raise_rope(reader, "an attention factor out of range");
}

// Long wave lengths are divided, short ones kept, those between blended.
static rt_result scale_llama3(const rti_reader *reader, rti_rope *rope)
{
    double factor = 8, low = 1, high = 4, original = 8192;
    if (!find_scaling_float(reader, NULL, "factor", &factor) || !find_scaling_float(reader, NULL, "low_freq_factor", &low) ||
        !find_scaling_float(reader, NULL, "high_freq_factor", &high) ||
        !find_scaling_float(reader, NULL, "original_max_position_embeddings", &original) || !(factor >= 1 && factor <= 1e6) ||
        !(low > 0) || !(high > low) || !(original >= 1 && original <= 1e9))
        return raise_rope(reader, "llama3 scaling needs factor, low_freq_factor, high_freq_factor and "
                                  "original_max_position_embeddings");
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        double wave = 2 * pi / rope->frequency[i];
        if (wave > original / low) {
            rope->frequency[i] /= factor;
        } else if (wave >= original / high) {
            double smooth = (original / wave - low) / (high - low);
            rope->frequency[i] = (1 - smooth) * rope->frequency[i] / factor + smooth * rope->frequency[i];
        }
    }
    return RT_OK;
}

// One factor a frequency, from config.json or from a tensor.
static rt_result divide_by_factors(const rti_reader *reader, rti_rope *rope, const char *config_name, const float *values)
{
    char key[160];
    for (int32_t i = 0; i < rope->rotated / 2; i++) {
        double factor = 0;
        if (values) {
            factor = values[i];
        } else {
            snprintf(key, sizeof key, "%srope_scaling.%s", reader->config_scope, config_name);
            if (!rti_file_array_number(reader->file, key, (size_t)i, &factor)) {
                snprintf(key, sizeof key, "%srope_parameters.%s", reader->config_scope, config_name);
                rti_file_array_number(reader->file, key, (size_t)i, &factor);
            }
        }
        if (!(factor > 1e-6 && factor < 1e9))
            return raise_rope(reader, "a frequency factor that is missing or no sensible number");
        rope->frequency[i] /= factor;
    }
    return RT_OK;
}

static rt_result scale_long(rti_reader *reader, rti_rope *rope)
{
    rti_network *network = reader->network;
    double original = 0, attention = 0;
    uint64_t whole = 0;
    if (!find_scaling_float(reader, "rope.scaling.original_context_length", "original_max_position_embeddings", &original) &&
        rti_find_size(reader, NULL, "original_max_position_embeddings", &whole))
        original = (double)whole;
    if (!(original >= 2 && original <= 1e9))
        return raise_rope(reader, "longrope scaling without the original context length");
    double factor = network->context_size / original;
    if (!reader->is_gguf)
        find_scaling_float(reader, NULL, "factor", &factor);
    rope->magnitude = factor > 1 ? sqrt(1 + log(factor) / log(original)) : 1;
    if (find_scaling_float(reader, "rope.scaling.attn_factor", "attention_factor", &attention))
        rope->magnitude = attention;
    if (!(rope->magnitude > 0 && rope->magnitude < 100))
        return raise_rope(reader, "an attention factor out of range");

    bool is_long = reader->context_wanted > original;
    if (!is_long)
        network->context_size = RTI_MIN(network->context_size, (int32_t)original);
    const float *values[2];
    static const char *const names[2] = {"rope_factors_short.weight", "rope_factors_long.weight"};
    for (int i = 0; i < 2; i++) {
        rt_result result = rti_read_named_vector(reader, names[i], rope->rotated / 2, &values[i]);
        if (result != RT_OK)
            return result;
    }
    if (reader->is_gguf && !values[is_long])
        return rti_fail(&reader->host, RT_ERROR_BAD_FILE, "%s: tensor %s: missing", rti_file_path(reader->file),
                        names[is_long]);
    return divide_by_factors(reader, rope, is_long ? "long_factor" : "short_factor", values[is_long]);
}

static rt_result scale(rti_reader *reader, rti_rope *rope, double base)
{
    const char *type = scaling_type(reader);
    // "dynamic" changes nothing within the context that the model was trained for.
    if (strcmp(type, "none") == 0 || strcmp(type, "default") == 0 || strcmp(type, "dynamic") == 0) {
        const float *factors;
        double attention = 1;
        rt_result result = rti_read_named_vector(reader, "rope_freqs.weight", rope->rotated / 2, &factors);
        if (result == RT_OK && factors)
            result = divide_by_factors(reader, rope, "", factors);
        if (result == RT_OK && factors && rti_find_float(reader, "rope.scaling.attn_factor", NULL, &attention)) {
            rope->magnitude = attention;
            if (!(attention > 0 && attention < 100))
                return raise_rope(reader, "an attention factor out of range");
        }
        if (result != RT_OK || factors)
            return result;
        if (reader->is_gguf && rti_file_tensor(reader->file, "rope_factors_short.weight"))
            return scale_long(reader, rope);
        double factor;
        return reader->is_gguf && rti_find_float(reader, "rope.scale_linear", NULL, &factor) ? scale_linear(reader, rope)
                                                                                             : RT_OK;
    }
    if (strcmp(type, "linear") == 0)
        return scale_linear(reader, rope);
    if (strcmp(type, "yarn") == 0)
        return scale_yarn(reader, rope, base);
    if (strcmp(type, "llama3") == 0)
        return scale_llama3(reader, rope);
    if (strcmp(type, "longrope") == 0 || strcmp(type, "su") == 0)
        return scale_long(reader, rope);
    return rti_fail(&reader->host, RT_ERROR_UNSUPPORTED,
                    "%s: RoPE scaling \"%s\" is not known; none, linear, yarn, llama3, longrope and dynamic are",
                    rti_file_path(reader->file), type);
}

rt_result rti_read_rope(rti_reader *reader, const rti_family *family, int32_t index, double base, bool plain)
{
    rti_network *network = reader->network;
    rti_rope *rope = &network->ropes[index];
    double share = 1;
    uint64_t rotated = (uint64_t)network->head_size;
    if (base == 0 && !rti_find_float(reader, "rope.freq_base", "rope_theta", &base) &&
        !find_scaling_float(reader, NULL, "rope_theta", &base))
        base = 10000;
    if (!(base > 1 && base < 1e12))
        return raise_rope(reader, "a base that is no sensible number");
    if (reader->is_gguf)
        rti_find_size(reader, "rope.dimension_count", NULL, &rotated);
    else if (rti_find_float(reader, NULL, "partial_rotary_factor", &share) ||
             rti_find_float(reader, NULL, "rope_parameters.partial_rotary_factor", &share) ||
             rti_find_float(reader, NULL, "rope_percent", &share))
        rotated = share > 0 && share <= 1 ? (uint64_t)(share * network->head_size) : 0;
    if (rotated < 2 || rotated > (uint64_t)network->head_size || rotated % 2 != 0)
        return raise_rope(reader, "the number of dimensions that turn must be even and fit the head");

    rope->order = reader->is_gguf ? family->gguf_rope_order : RTI_ROPE_HALVES;
    rope->rotated = (int32_t)rotated;
    rope->magnitude = 1;
    rope->base = base;
    rope->frequency = rti_network_memory(network, (size_t)(rotated / 2) * sizeof(double));
    if (!rope->frequency)
        return rti_reader_no_memory(reader);
    for (int32_t i = 0; i < rope->rotated / 2; i++)
        rope->frequency[i] = pow(base, -2.0 * i / rope->rotated);
    network->rope_count = RTI_MAX(network->rope_count, index + 1);
    return plain ? RT_OK : scale(reader, rope, base);
}
