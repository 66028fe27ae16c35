// The table of chat formats. Each row is what the family's own reference does: mistral-common for Mistral, the published
// chat template for the others.
// SPDX-License-Identifier: MIT
#include "repartee/format.h"

#include <string.h>

#define QWEN_TOOLS                                                                                                     \
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function "  \
    "signatures within <tools></tools> XML tags:\n<tools>"
#define QWEN_TOOLS_END                                                                                                 \
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments within "              \
    "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n" \
    "</tool_call>"
#define HERMES_TOOLS                                                                                                   \
    "<|im_start|>system\nYou are a function calling AI model. You are provided with function signatures within "       \
    "<tools></tools> XML tags. You may call one or more functions to assist with the user query. Don't make "          \
    "assumptions about what values to plug into functions. Here are the available tools: <tools> "
#define HERMES_TOOLS_END                                                                                               \
    " </tools>Use the following pydantic model json schema for each tool call you will make: {\"properties\": "        \
    "{\"name\": {\"title\": \"Name\", \"type\": \"string\"}, \"arguments\": {\"title\": \"Arguments\", \"type\": "     \
    "\"object\"}}, \"required\": [\"name\", \"arguments\"], \"title\": \"FunctionCall\", \"type\": \"object\"}}\n"     \
    "For each function call return a json object with function name and arguments within <tool_call></tool_call> "     \
    "XML tags as follows:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-dict>}\n</tool_call>"         \
    "<|im_end|>\n"
#define LLAMA3_TOOLS                                                                                                   \
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that "    \
    "best answers the given prompt.\n\nRespond in the format {\"name\": function name, \"parameters\": dictionary of " \
    "argument name and its value}.Do not use variables.\n\n"

#define CHATML_TURNS                                                                                                   \
    .system_prefix = "<|im_start|>system\n", .system_suffix = "<|im_end|>\n", .user_prefix = "<|im_start|>user\n",     \
    .user_suffix = "<|im_end|>\n", .reply_prefix = "<|im_start|>assistant\n", .reply_suffix = "<|im_end|>\n",          \
    .stop = {"<|im_end|>", "<|endoftext|>"}
#define CHATML_NOTES                                                                                                   \
    .result_form = RP_RESULT_NAMED, .result_prefix = "<|im_start|>system\n", .result_suffix = "<|im_end|>\n"
#define QWEN_CALLS                                                                                                     \
    .calls = RP_CALLS_HERMES, .tools_place = RP_TOOLS_IN_SYSTEM, .tools_join = "\n\n", .tools_prefix = QWEN_TOOLS,     \
    .tool_prefix = "\n", .tools_suffix = QWEN_TOOLS_END, .calls_prefix = "<|im_start|>assistant\n",                    \
    .call_prefix = "<tool_call>\n", .call_suffix = "\n</tool_call>", .call_join = "\n",                                \
    .calls_suffix = "<|im_end|>\n", .calls_after_reply = "\n", .call_arguments = "arguments",                          \
    .results_prefix = "<|im_start|>user", .result_prefix = "\n<tool_response>\n",                                      \
    .result_suffix = "\n</tool_response>", .results_suffix = "<|im_end|>\n",                                            \
    .plain_markers = {"<tool_call>", "<tool_response>"}
#define MISTRAL_TURNS                                                                                                  \
    .begin = "<s>", .user_prefix = "[INST]", .user_suffix = "[/INST]", .reply_suffix = "</s>", .stop = {"</s>"},       \
    .system_in_last_user = true, .join = "\n\n", .strip_reply_spaces = true
#define MISTRAL_CALLS                                                                                                  \
    .calls = RP_CALLS_MISTRAL, .tools_place = RP_TOOLS_BEFORE_LAST_USER, .tools_prefix = "[AVAILABLE_TOOLS][",         \
    .tool_join = ", ", .tools_suffix = "][/AVAILABLE_TOOLS]", .tool_description_always = true,                         \
    .calls_prefix = "[TOOL_CALLS][", .call_join = ", ", .calls_suffix = "]</s>", .call_arguments = "arguments",        \
    .call_ids = true, .result_form = RP_RESULT_CALL_OBJECT, .result_prefix = "[TOOL_RESULTS]",                         \
    .result_suffix = "[/TOOL_RESULTS]"
#define NEMOTRON_TURNS                                                                                                 \
    .begin = "", .system_prefix = "<extra_id_0>System", .system_suffix = "\n\n", .system_lead = "\n",                  \
    .system_always = true, .system_gathers = true, .user_prefix = "<extra_id_1>User\n", .user_suffix = "\n",           \
    .reply_prefix = "<extra_id_1>Assistant\n", .reply_suffix = "\n", .stop = {"</s>", "<extra_id_1>"},                 \
    .stop_text = {"<extra_id_1>", "<extra_id_0>"}, .strip_content = true
#define LLAMA3_TURNS                                                                                                   \
    .begin = "<|begin_of_text|>", .system_prefix = "<|start_header_id|>system<|end_header_id|>\n\n",                   \
    .system_suffix = "<|eot_id|>", .user_prefix = "<|start_header_id|>user<|end_header_id|>\n\n",                      \
    .user_suffix = "<|eot_id|>", .reply_prefix = "<|start_header_id|>assistant<|end_header_id|>\n\n",                  \
    .reply_suffix = "<|eot_id|>", .stop = {"<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"}, .strip_content = true

static const rp_format formats[] = {
    {
        .name = "smollm2",
        .description = "SmolLM and SmolLM2 Instruct: ChatML with its own system text",
        .detect = {"<|im_start|>", "named SmolLM"},
        .detect_absent = {"<think>"},
        CHATML_TURNS,
        CHATML_NOTES,
        .default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face",
    },
    {
        .name = "hermes",
        .description = "Nous Hermes 2 Pro and Hermes 3: ChatML with functions",
        .detect = {"<|im_start|>", "function calling AI model"},
        CHATML_TURNS,
        .calls = RP_CALLS_HERMES,
        .tools_place = RP_TOOLS_AT_HEAD,
        .tools_prefix = HERMES_TOOLS,
        .tool_join = "\n",
        .tools_suffix = HERMES_TOOLS_END,
        .calls_prefix = "<|im_start|>assistant\n",
        .call_prefix = "<tool_call>\n",
        .call_suffix = "\n</tool_call>",
        .call_join = "\n",
        .calls_suffix = "<|im_end|>\n",
        .calls_after_reply = "\n",
        .call_arguments = "arguments",
        .plain_markers = {"<tool_call>", "<tool_response>"},
        .result_form = RP_RESULT_NAME_OBJECT,
        .results_prefix = "<|im_start|>tool\n",
        .result_prefix = "<tool_response>\n",
        .result_suffix = "\n</tool_response>\n",
        .results_suffix = "<|im_end|>\n",
    },
    {
        .name = "qwen2.5",
        .description = "Qwen 2.5 Instruct: ChatML with functions and its own system text",
        .detect = {"<|im_start|>", "You are Qwen, created by Alibaba Cloud", "<tool_call>"},
        CHATML_TURNS,
        QWEN_CALLS,
        .default_system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    },
    {
        .name = "qwen3",
        .description = "Qwen 3 with its thinking switched off: ChatML with functions",
        .detect = {"<|im_start|>", "<tool_call>", "enable_thinking", "<think>\\n\\n</think>\\n\\n"},
        .detect_absent = {"<think></think>"},
        CHATML_TURNS,
        QWEN_CALLS,
        .reply_opening = "<think>\n\n</think>\n\n",
    },
    {
        .name = "chatml-tools",
        .description = "ChatML with functions in <tool_call> (Qwen 3 2507 and others)",
        .detect = {"<|im_start|>", "<tool_call>"},
        .detect_absent = {"<think>"},
        CHATML_TURNS,
        QWEN_CALLS,
    },
    {
        .name = "qwen2",
        .description = "Qwen 1.5 and 2 Instruct: ChatML with its own system text",
        .detect = {"<|im_start|>", "You are a helpful assistant"},
        .detect_absent = {"<|im_sep|>"},
        CHATML_TURNS,
        CHATML_NOTES,
        .default_system = "You are a helpful assistant.",
    },
    {
        .name = "phi-4",
        .description = "Phi-4",
        .detect = {"<|im_start|>", "<|im_sep|>"},
        .detect_tokens = {"<|im_start|>", "<|im_sep|>", "<|im_end|>"},
        .system_prefix = "<|im_start|>system<|im_sep|>",
        .system_suffix = "<|im_end|>",
        .user_prefix = "<|im_start|>user<|im_sep|>",
        .user_suffix = "<|im_end|>",
        .reply_prefix = "<|im_start|>assistant<|im_sep|>",
        .reply_suffix = "<|im_end|>",
        .stop = {"<|im_end|>", "<|endoftext|>"},
        .result_form = RP_RESULT_NAMED,
        .result_prefix = "<|im_start|>system<|im_sep|>",
        .result_suffix = "<|im_end|>",
    },
    {
        .name = "chatml",
        .description = "ChatML, without functions",
        .detect = {"<|im_start|>"},
        .detect_absent = {"<think>"},
        .detect_tokens = {"<|im_start|>", "<|im_end|>"},
        CHATML_TURNS,
        CHATML_NOTES,
    },
    {
        .name = "nemotron-mini",
        .description = "Nemotron-Mini 4B Instruct, with functions",
        .detect = {"<extra_id_0>System", "<extra_id_1>", "<tool>"},
        .detect_tokens = {"<extra_id_0>", "<extra_id_1>"},
        .detect_vocabulary = RP_VOCABULARY_BYTE_TOKENS,
        NEMOTRON_TURNS,
        .plain_markers = {"<extra_id_0>", "<extra_id_1>", "<toolcall>", "<tool>"},
        .calls = RP_CALLS_NEMOTRON,
        .tools_place = RP_TOOLS_IN_SYSTEM,
        .tools_join = "\n",
        .tool_prefix = "\n<tool> ",
        .tool_suffix = " </tool>",
        .context_join = "\n",
        .context_prefix = "\n<context> ",
        .context_suffix = " </context>",
        .calls_prefix = "<extra_id_1>Assistant\n",
        .call_prefix = "<toolcall> ",
        .call_suffix = " </toolcall>",
        .call_join = "\n",
        .calls_suffix = "\n",
        .calls_after_reply = "\n",
        .call_arguments = "arguments",
        .result_prefix = "<extra_id_1>Tool\n",
        .result_suffix = "\n",
    },
    {
        .name = "minitron",
        .description = "Mistral-NeMo-Minitron 8B Instruct, without functions",
        .detect = {"<extra_id_0>System", "<extra_id_1>"},
        .detect_tokens = {"<extra_id_0>", "<extra_id_1>"},
        NEMOTRON_TURNS,
        .plain_markers = {"<extra_id_0>", "<extra_id_1>"},
        .join = "\n",
    },
    {
        .name = "mistral-v3-tekken",
        .description = "Mistral NeMo 12B Instruct 2407 (Tekken), with functions",
        .detect = {"[INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"},
        .detect_absent = {"[SYSTEM_PROMPT]", "[TOOL_CONTENT]"},
        .detect_tokens = {"[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"},
        .detect_vocabulary = RP_VOCABULARY_NO_BYTE_TOKENS,
        MISTRAL_TURNS,
        MISTRAL_CALLS,
    },
    {
        .name = "mistral-v3",
        .description = "Mistral 7B Instruct v0.3, Mixtral 8x22B, Codestral (SentencePiece), with functions",
        .detect = {"[INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"},
        .detect_absent = {"[SYSTEM_PROMPT]", "[TOOL_CONTENT]"},
        .detect_tokens = {"[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[TOOL_CALLS]"},
        .detect_vocabulary = RP_VOCABULARY_BYTE_TOKENS,
        MISTRAL_TURNS,
        MISTRAL_CALLS,
    },
    {
        .name = "mistral-v1",
        .description = "Mistral 7B Instruct v0.1 and v0.2, Mixtral 8x7B: markers in plain text",
        .detect = {"[INST]", "[/INST]"},
        .detect_absent = {"<<SYS>>", "[SYSTEM_PROMPT]"},
        .begin = "<s>",
        .user_prefix = "[INST] ",
        .user_suffix = " [/INST]",
        .reply_suffix = "</s>",
        .stop = {"</s>"},
        .stop_text = {"[INST]"},
        .join = "\n\n",
        .separate_runs = true,
        .plain_markers = {"[INST]", "[/INST]"},
    },
    {
        .name = "llama-3.1",
        .description = "Llama 3.1, 3.2 and 3.3 Instruct, with functions",
        .detect = {"<|start_header_id|>", "<|eot_id|>", "ipython"},
        .detect_absent = {"<function="},
        LLAMA3_TURNS,
        .calls = RP_CALLS_LLAMA3,
        .system_always = true,
        .tools_notice = "Environment: ipython\n",
        .system_opening = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n",
        .tools_place = RP_TOOLS_IN_FIRST_USER,
        .tools_prefix = LLAMA3_TOOLS,
        .tool_suffix = "\n\n",
        .tools_indent = 4,
        .calls_prefix = "<|start_header_id|>assistant<|end_header_id|>\n\n",
        .calls_suffix = "<|eot_id|>",
        .call_arguments = "parameters",
        .result_form = RP_RESULT_JSON_STRING,
        .result_prefix = "<|start_header_id|>ipython<|end_header_id|>\n\n",
        .result_suffix = "<|eot_id|>",
    },
    {
        .name = "llama-3",
        .description = "Llama 3 Instruct, without functions",
        .detect = {"<|start_header_id|>", "<|eot_id|>"},
        .detect_absent = {"function"},
        .detect_tokens = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
        LLAMA3_TURNS,
        .result_form = RP_RESULT_NAMED,
        .result_prefix = "<|start_header_id|>system<|end_header_id|>\n\n",
        .result_suffix = "<|eot_id|>",
    },
    {
        .name = "gemma",
        .description = "Gemma 2 and 3: the system text opens the first user turn",
        .detect = {"<start_of_turn>"},
        .detect_tokens = {"<start_of_turn>", "<end_of_turn>"},
        .begin = "<bos>",
        .user_prefix = "<start_of_turn>user\n",
        .user_suffix = "<end_of_turn>\n",
        .reply_prefix = "<start_of_turn>model\n",
        .reply_suffix = "<end_of_turn>\n",
        .stop = {"<end_of_turn>", "<eos>"},
        .strip_content = true,
        .join = "\n\n",
    },
    {
        .name = "phi-4-mini",
        .description = "Phi-4-mini",
        .detect = {"'<|' + message['role'] + '|>'", "<|end|>"},
        .system_prefix = "<|system|>",
        .system_suffix = "<|end|>",
        .user_prefix = "<|user|>",
        .user_suffix = "<|end|>",
        .reply_prefix = "<|assistant|>",
        .reply_suffix = "<|end|>",
        .stop = {"<|end|>", "<|endoftext|>"},
        .result_form = RP_RESULT_NAMED,
        .result_prefix = "<|system|>",
        .result_suffix = "<|end|>",
    },
    {
        .name = "phi-3",
        .description = "Phi-3 and Phi-3.5 mini",
        .detect = {"<|user|>", "<|end|>", "<|assistant|>"},
        .detect_absent = {"tool_calls"},
        .detect_tokens = {"<|user|>", "<|end|>", "<|assistant|>"},
        .system_prefix = "<|system|>\n",
        .system_suffix = "<|end|>\n",
        .user_prefix = "<|user|>\n",
        .user_suffix = "<|end|>\n",
        .reply_prefix = "<|assistant|>\n",
        .reply_suffix = "<|end|>\n",
        .stop = {"<|end|>", "<|endoftext|>"},
        .control_strips_right = true,
        .result_form = RP_RESULT_NAMED,
        .result_prefix = "<|system|>\n",
        .result_suffix = "<|end|>\n",
    },
};

const rp_format *rp_format_list(int32_t *count)
{
    if (count)
        *count = (int32_t)(sizeof formats / sizeof formats[0]);
    return formats;
}

const rp_format *rp_format_find(const char *name)
{
    if (!name)
        return NULL;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}
