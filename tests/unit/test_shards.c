// Folders whose tensors lie in several safetensors files: found through model.safetensors.index.json, which is not trusted.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "file/file.h"
#include "support/scratch.h"

static char folder[256];

static void write_text(const char *name, const char *text)
{
    assert_true(scratch_write(folder, name, text, strlen(text)));
}

// A shard with one tensor of two floats.
static void write_shard(const char *name, const char *tensor, float first)
{
    char bytes[256], header[200];
    uint64_t length = (uint64_t)snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", tensor);
    float values[2] = {first, first + 1};
    memcpy(bytes, &length, 8);
    memcpy(bytes + 8, header, length);
    memcpy(bytes + 8 + length, values, sizeof values);
    assert_true(scratch_write(folder, name, bytes, 8 + length + sizeof values));
}

static rt_result open_with(const char *index, rti_file **file)
{
    write_text("model.safetensors.index.json", index);
    return rti_file_open(NULL, folder, file);
}

static int set_up(void **state)
{
    (void)state;
    if (!scratch_create(folder))
        return -1;
    write_text("config.json", "{\"model_type\":\"llama\"}");
    write_shard("one.safetensors", "a", 1);
    write_shard("two.safetensors", "b", 5);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(folder);
    return 0;
}

static void test_shards_are_one_file(void **state)
{
    (void)state;
    rti_file *file = NULL;
    assert_int_equal(open_with("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", &file), RT_OK);
    assert_int_equal(rti_file_tensor_count(file), 2);
    const float *values = rti_file_tensor(file, "b")->data;
    float second;
    memcpy(&second, values + 1, sizeof second);
    assert_true(second == 6);
    assert_null(rti_file_tensor(file, "c"));
    rti_file_close(file);
}

static void test_an_index_is_not_trusted(void **state)
{
    (void)state;
    static const struct { const char *index; rt_result result; const char *says; } cases[] = {
        {"{\"weight_map\":{\"a\":\"../one.safetensors\"}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"sub\\\\one.safetensors\"}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"..\"}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"\"}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":1}}", RT_ERROR_BAD_FILE, "no plain file name"},
        {"{\"weight_map\":{\"a\":\"three.safetensors\"}}", RT_ERROR_NOT_FOUND, "three.safetensors"},
        {"{\"weight_map\":{\"c\":\"one.safetensors\"}}", RT_ERROR_BAD_FILE, "tensor c: is in none of the files"},
        {"{\"weight_map\":{\"a\":\"config.json\"}}", RT_ERROR_BAD_FILE, "config.json"},
        {"{\"weight_map\":[]}", RT_ERROR_BAD_FILE, "weight_map"},
        {"{}", RT_ERROR_BAD_FILE, "weight_map"},
        {"[]", RT_ERROR_BAD_FILE, "index.json"},
        {"{", RT_ERROR_BAD_FILE, "index.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rti_file *file = NULL;
        rt_result result = open_with(cases[i].index, &file);
        if (result != cases[i].result || !strstr(rt_error_message(), cases[i].says) || file)
            fail_msg("%s: %d, %s", cases[i].index, (int)result, rt_error_message());
    }
    write_shard("two.safetensors", "a", 5); // the same name in both
    rti_file *file = NULL;
    assert_int_equal(open_with("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}", &file), RT_ERROR_BAD_FILE);
    assert_non_null(strstr(rt_error_message(), "stands there twice"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shards_are_one_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_index_is_not_trusted, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("shards", tests, NULL, NULL);
}
