// repartee/repartee.h - everything a game needs, in one include.
// SPDX-License-Identifier: MIT
#ifndef REPARTEE_H
#define REPARTEE_H

#include "repartee/character.h"
#include "repartee/event.h"
#include "repartee/format.h"
#include "repartee/ids.h"
#include "repartee/record.h"
#include "repartee/tool.h"
#include "repartee/trace.h"
#include "repartee/turn.h"
#include "repartee/world.h"
#include "rt/context.h"
#include "rt/model.h"
#include "rt/sampler.h"
#include "rt/tokenizer.h"

#endif
