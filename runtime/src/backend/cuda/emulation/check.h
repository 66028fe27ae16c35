// emulation/check.h - whether the emulation catches what it is there for.
// SPDX-License-Identifier: MIT
#ifndef RTI_CUDA_EMULATION_CHECK_H
#define RTI_CUDA_EMULATION_CHECK_H

const char *rti_emulation_check(void); // NULL, or what goes unseen

#endif
