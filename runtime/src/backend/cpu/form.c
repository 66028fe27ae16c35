// backend/cpu/form.c - which packed form each tensor type takes, and how large it is.
// SPDX-License-Identifier: MIT
#include "backend/cpu/cpu.h"

// Values of IQ4_NL and IQ4_XS, and of MXFP4 (doubled, so that they are whole), each + 128.
static const uint8_t table_iq4[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
static const uint8_t table_mxfp4[16] = {128, 129, 130, 131, 132, 134, 136, 140, 128, 127, 126, 125, 124, 122, 120, 116};

// A header is a multiple of 64 bytes, so that every vector of values lies in one cache line.
static const rti_form forms[] = {
    {RTI_TYPE_Q4_0, RTI_BITS_4, RTI_SCALES_HALF, 8, 2, 64, 256, NULL},
    {RTI_TYPE_Q4_1, RTI_BITS_4, RTI_SCALES_HALF_MINIMUM, 0, 1, 64, 256, NULL},
    {RTI_TYPE_Q5_0, RTI_BITS_5, RTI_SCALES_HALF, 16, 2, 64, 320, NULL},
    {RTI_TYPE_Q5_1, RTI_BITS_5, RTI_SCALES_HALF_MINIMUM, 0, 1, 64, 320, NULL},
    {RTI_TYPE_Q8_0, RTI_BITS_8, RTI_SCALES_HALF, 128, 2, 64, 512, NULL},
    {RTI_TYPE_Q2_K, RTI_BITS_4, RTI_SCALES_K16_MINIMUM, 0, 8, 576, 256, NULL},
    {RTI_TYPE_Q3_K, RTI_BITS_4, RTI_SCALES_K16, 4, 8, 320, 256, NULL},
    {RTI_TYPE_Q4_K, RTI_BITS_4, RTI_SCALES_K32_MINIMUM, 0, 8, 320, 256, NULL},
    {RTI_TYPE_Q5_K, RTI_BITS_5, RTI_SCALES_K32_MINIMUM, 0, 8, 320, 320, NULL},
    {RTI_TYPE_Q6_K, RTI_BITS_6, RTI_SCALES_K16, 32, 8, 320, 384, NULL},
    {RTI_TYPE_IQ4_NL, RTI_BITS_TABLE, RTI_SCALES_HALF, 128, 2, 64, 256, table_iq4},
    {RTI_TYPE_IQ4_XS, RTI_BITS_TABLE, RTI_SCALES_K32, 128, 8, 192, 256, table_iq4},
    {RTI_TYPE_MXFP4, RTI_BITS_TABLE, RTI_SCALES_FLOAT, 128, 1, 64, 256, table_mxfp4},
    {RTI_TYPE_F32, RTI_BITS_FLOAT, RTI_SCALES_NONE, 0, 1, 0, 2048, NULL},
    {RTI_TYPE_F16, RTI_BITS_FLOAT, RTI_SCALES_NONE, 0, 1, 0, 1024, NULL},
    {RTI_TYPE_BF16, RTI_BITS_FLOAT, RTI_SCALES_NONE, 0, 1, 0, 1024, NULL},
    {RTI_TYPE_F8_E4M3, RTI_BITS_FLOAT, RTI_SCALES_NONE, 0, 1, 0, 512, NULL},
};

const rti_form *rti_form_find(rti_type type)
{
    for (size_t i = 0; i < RTI_COUNT(forms); i++) {
        if (forms[i].type == type) {
            return &forms[i];
        }
    }
    return NULL;
}

void rti_packed_shape(rti_packed *packed, const rti_form *form, int32_t rows, int32_t columns)
{
    *packed = (rti_packed){.form = form, .rows = rows, .columns = columns};
    packed->panels = rows / RTI_PANEL_ROWS + (rows % RTI_PANEL_ROWS != 0);
    packed->blocks = columns / RTI_BLOCK_COLUMNS + (columns % RTI_BLOCK_COLUMNS != 0);
    size_t groups = (size_t)(packed->blocks + form->group - 1) / (size_t)form->group;
    packed->panel_bytes = groups * ((size_t)form->header_bytes + (size_t)form->group * (size_t)form->block_bytes);
}

size_t rti_packed_bytes(const rti_form *form, int32_t rows, int32_t columns)
{
    rti_packed packed;
    rti_packed_shape(&packed, form, rows, columns);
    return (size_t)packed.panels * packed.panel_bytes;
}
