// character/history.c - a conversation as a queue of exchanges in one run of bytes.
// SPDX-License-Identifier: MIT
#include "character/character.h"

#include <string.h>

static size_t exchange_size(const rpi_exchange *exchange)
{
    return (size_t)exchange->line_size + exchange->actions_size + exchange->reply_size;
}

bool rpi_history_reserve(const rt_host *host, rpi_history *history, size_t bytes)
{
    void *items = history->exchanges;
    bool fits = rpi_array_reserve(host, &items, &history->capacity, history->count + 1, sizeof *history->exchanges);
    history->exchanges = items;
    return fits && rpi_buffer_reserve(host, &history->bytes, history->bytes.size + bytes + 1);
}

bool rpi_history_add(const rt_host *host, rpi_history *history, const rpi_exchange_text *text)
{
    const rp_text *parts[] = { &text->line, &text->actions, &text->reply };
    size_t sizes = 0;
    for (size_t i = 0; i < RPI_COUNT(parts); i++) {
        if (parts[i]->size > UINT32_MAX / 8)
            return false;
        sizes += parts[i]->size;
    }
    if (!rpi_history_reserve(host, history, sizes))
        return false;
    for (size_t i = 0; i < RPI_COUNT(parts); i++)
        rpi_buffer_add(host, &history->bytes, parts[i]->data, parts[i]->size); // reserved: cannot fail
    history->exchanges[history->count++] = (rpi_exchange){
        (uint32_t)text->line.size, (uint32_t)text->actions.size, (uint32_t)text->reply.size
    };
    return true;
}

void rpi_history_drop_oldest(rpi_history *history, size_t count)
{
    count = RPI_MIN(count, history->count);
    if (count == 0)
        return;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += exchange_size(&history->exchanges[i]);
    memmove(history->bytes.data, history->bytes.data + bytes, history->bytes.size - bytes);
    history->bytes.size -= bytes;
    history->count -= count;
    memmove(history->exchanges, history->exchanges + count, history->count * sizeof *history->exchanges);
}

void rpi_history_clear(rpi_history *history)
{
    history->count = 0;
    history->bytes.size = 0;
}

void rpi_history_free(const rt_host *host, rpi_history *history)
{
    rpi_release(host, history->exchanges, history->capacity * sizeof *history->exchanges);
    rpi_buffer_free(host, &history->bytes);
    *history = (rpi_history){ 0 };
}

rpi_exchange_text rpi_history_read(const rpi_history *history, size_t index, size_t *at)
{
    const rpi_exchange *exchange = &history->exchanges[index];
    const char *bytes = history->bytes.data + *at;
    rpi_exchange_text text;
    text.line = (rp_text){ bytes, exchange->line_size };
    bytes += exchange->line_size;
    text.actions = (rp_text){ bytes, exchange->actions_size };
    bytes += exchange->actions_size;
    text.reply = (rp_text){ bytes, exchange->reply_size };
    *at += exchange_size(exchange);
    return text;
}

typedef struct action_head {
    uint32_t is_result, group, said, content_size, name_size, call_id_size;
} action_head;

bool rpi_action_add(const rt_host *host, rpi_buffer *actions, const rpi_action *action)
{
    size_t before = actions->size;
    action_head head = { action->is_result, action->group, action->said, (uint32_t)action->content.size, (uint32_t)action->name.size,
                         (uint32_t)action->call_id.size };
    bool added = action->content.size < UINT32_MAX / 2 && rpi_buffer_add(host, actions, (const char *)&head, sizeof head) &&
                 rpi_buffer_add(host, actions, action->content.data, action->content.size) &&
                 rpi_buffer_add(host, actions, action->name.data, action->name.size) &&
                 rpi_buffer_add(host, actions, action->call_id.data, action->call_id.size);
    if (!added)
        actions->size = before;
    return added;
}

bool rpi_actions_are_valid(rp_text actions, size_t reply_size)
{
    for (size_t at = 0; at < actions.size;) {
        action_head head;
        if (actions.size - at < sizeof head)
            return false;
        memcpy(&head, actions.data + at, sizeof head);
        uint64_t size = (uint64_t)head.content_size + head.name_size + head.call_id_size;
        if (size > actions.size - at - sizeof head || head.said > reply_size)
            return false;
        at += sizeof head + (size_t)size;
    }
    return true;
}

bool rpi_action_read(rp_text actions, size_t *at, rpi_action *action)
{
    action_head head;
    if (actions.size - *at < sizeof head)
        return false;
    memcpy(&head, actions.data + *at, sizeof head);
    const char *bytes = actions.data + *at + sizeof head;
    *action = (rpi_action){ head.is_result != 0, head.group, head.said,
                            { bytes, head.content_size },
                            { bytes + head.content_size, head.name_size },
                            { bytes + head.content_size + head.name_size, head.call_id_size } };
    *at += sizeof head + head.content_size + head.name_size + head.call_id_size;
    return true;
}

void rpi_actions_settle(rpi_buffer *actions)
{
    rpi_action action;
    size_t settled = 0;
    for (size_t at = 0; rpi_action_read((rp_text){ actions->data, actions->size }, &at, &action);)
        if (action.is_result)
            settled = at;
    actions->size = settled;
}
