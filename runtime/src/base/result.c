// base/result.c - the names of results, the thread's last error message, the host's log.
// SPDX-License-Identifier: MIT
#include "base/base.h"

#include <stdio.h>
#include <string.h>

// Long enough for a path, a place and advice; longer messages end in "...".
enum { MESSAGE_CAPACITY = 1024 };

static _Thread_local char error_message[MESSAGE_CAPACITY];

const char *rt_result_text(rt_result result)
{
    switch (result) {
    case RT_OK: return "no error";
    case RT_ERROR_INVALID_ARGUMENT: return "invalid argument";
    case RT_ERROR_OUT_OF_MEMORY: return "out of memory";
    case RT_ERROR_IO: return "input or output failed";
    case RT_ERROR_NOT_FOUND: return "not found";
    case RT_ERROR_BAD_FILE: return "damaged file";
    case RT_ERROR_UNSUPPORTED: return "not supported";
    case RT_ERROR_TOO_LARGE: return "over a limit";
    case RT_ERROR_CONTEXT_FULL: return "context full";
    case RT_ERROR_BUSY: return "busy";
    case RT_ERROR_CANCELLED: return "cancelled";
    case RT_ERROR_BAD_TEXT: return "text does not parse";
    case RT_ERROR_SCRIPT: return "script failed";
    case RT_ERROR_DEVICE: return "device failed";
    case RT_ERROR_STALE_ID: return "stale id";
    case RT_ERROR_REJECTED: return "rejected";
    case RT_ERROR_INTERNAL: return "internal error";
    }
    return "unknown result";
}

const char *rt_error_message(void)
{
    return error_message;
}

const char *rt_version(void)
{
#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)
    return VERSION_TEXT(RT_VERSION_MAJOR, RT_VERSION_MINOR, RT_VERSION_PATCH);
}

// Formats into a fixed buffer. A message that does not fit is cut at a character's start and marked.
static void format_message(char buffer[MESSAGE_CAPACITY], const char *format, va_list arguments)
{
    static const char mark[] = "...";
    int length = vsnprintf(buffer, MESSAGE_CAPACITY, format, arguments);
    if (length < 0) {
        snprintf(buffer, MESSAGE_CAPACITY, "(a message that cannot be formatted)");
        return;
    }
    if (length >= MESSAGE_CAPACITY) {
        size_t cut = MESSAGE_CAPACITY - sizeof(mark);
        while (cut > 0 && ((unsigned char)buffer[cut] & 0xC0) == 0x80) {
            cut--;
        }
        memcpy(buffer + cut, mark, sizeof(mark));
    }
}

rt_result rti_fail(const rt_host *host, rt_result code, const char *format, ...)
{
    // An argument may point into the message that is being replaced: format aside first.
    char message[MESSAGE_CAPACITY];
    va_list arguments;
    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    memcpy(error_message, message, strlen(message) + 1);
    if (host && host->log) {
        host->log(host->user, RT_LOG_ERROR, code, message);
    }
    return code;
}

rt_result rt_raise(const rt_host *host, rt_result code, const char *message)
{
    return rti_fail(host, code, "%s", message ? message : rt_result_text(code));
}

void rti_log(const rt_host *host, rt_log_level level, const char *format, ...)
{
    if (!host || !host->log) {
        return;
    }
    char message[MESSAGE_CAPACITY];
    va_list arguments;
    va_start(arguments, format);
    format_message(message, format, arguments);
    va_end(arguments);
    host->log(host->user, level, RT_OK, message);
}
