// file/types.c - the table of tensor types.
// SPDX-License-Identifier: MIT
#include "file/file.h"

#include <string.h>
#include <strings.h>

static const rti_type_info types[] = {
    {RTI_TYPE_F32, "F32", 1, 4},
    {RTI_TYPE_F16, "F16", 1, 2},
    {RTI_TYPE_BF16, "BF16", 1, 2},
    {RTI_TYPE_F8_E4M3, "F8_E4M3", 1, 1},
    {RTI_TYPE_Q8_0, "Q8_0", 32, 34},
    {RTI_TYPE_Q4_0, "Q4_0", 32, 18},
    {RTI_TYPE_Q4_1, "Q4_1", 32, 20},
    {RTI_TYPE_Q5_0, "Q5_0", 32, 22},
    {RTI_TYPE_Q5_1, "Q5_1", 32, 24},
    {RTI_TYPE_Q2_K, "Q2_K", 256, 84},
    {RTI_TYPE_Q3_K, "Q3_K", 256, 110},
    {RTI_TYPE_Q4_K, "Q4_K", 256, 144},
    {RTI_TYPE_Q5_K, "Q5_K", 256, 176},
    {RTI_TYPE_Q6_K, "Q6_K", 256, 210},
    {RTI_TYPE_IQ4_NL, "IQ4_NL", 32, 18},
    {RTI_TYPE_IQ4_XS, "IQ4_XS", 256, 136},
    {RTI_TYPE_MXFP4, "MXFP4", 32, 17},
};

const rti_type_info *rti_type_find(uint32_t type)
{
    for (size_t i = 0; i < RTI_COUNT(types); i++)
        if ((uint32_t)types[i].type == type)
            return &types[i];
    return NULL;
}

const rti_type_info *rti_type_find_name(const char *name)
{
    for (size_t i = 0; name && i < RTI_COUNT(types); i++)
        if (strcasecmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const rti_type_info *rti_type_list(int *count)
{
    *count = (int)RTI_COUNT(types);
    return types;
}
