# SPDX-License-Identifier: MIT
"""The runtime's tokenizer from Python, by ctypes on librepartee.so (REPARTEE_LIBRARY, default build/release)."""
import ctypes
import os


class _Host(ctypes.Structure):
    _fields_ = [("allocate", ctypes.c_void_p), ("log", ctypes.c_void_p), ("user", ctypes.c_void_p)]


class _Def(ctypes.Structure):
    _fields_ = [("cookie", ctypes.c_uint32), ("host", _Host), ("path", ctypes.c_char_p), ("pre_tokenizer", ctypes.c_char_p)]


class _Stream(ctypes.Structure):
    _fields_ = [("pending", ctypes.c_uint8 * 4), ("pending_size", ctypes.c_uint8), ("started", ctypes.c_bool)]


def load(path=None):
    library = ctypes.CDLL(path or os.environ.get("REPARTEE_LIBRARY", "build/release/librepartee.so"))
    library.rt_default_tokenizer_def.restype = _Def
    library.rt_error_message.restype = ctypes.c_char_p
    library.rt_tokenizer_spelling.restype = ctypes.c_char_p
    library.rt_tokenizer_chat_template.restype = ctypes.c_char_p
    library.rt_tokenizer_longest_piece.restype = ctypes.c_size_t
    library.rt_text_stream_flush.restype = ctypes.c_size_t
    library.rt_tokenizer_encode.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_bool,
                                            ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)]
    return library


class Tokenizer:
    def __init__(self, path, pre_tokenizer=None, library=None):
        self.library = library or load()
        definition = self.library.rt_default_tokenizer_def()
        definition.path = str(path).encode()
        definition.pre_tokenizer = pre_tokenizer.encode() if pre_tokenizer else None
        self.handle = ctypes.c_void_p()
        if self.library.rt_tokenizer_open(ctypes.byref(definition), ctypes.byref(self.handle)) != 0:
            raise RuntimeError(self.library.rt_error_message().decode())
        self._buffer = (ctypes.c_int32 * 4096)()

    def close(self):
        self.library.rt_tokenizer_close(self.handle)

    def encode(self, text, continues=False):
        data = text.encode() if isinstance(text, str) else text
        count = ctypes.c_size_t()
        while True:
            result = self.library.rt_tokenizer_encode(self.handle, data, len(data), continues, self._buffer,
                                                      len(self._buffer), ctypes.byref(count))
            if result == 0:
                return self._buffer[: count.value]
            if result != 7 or count.value <= len(self._buffer):
                raise RuntimeError(self.library.rt_error_message().decode())
            self._buffer = (ctypes.c_int32 * (count.value * 2))()

    def count(self):
        return self.library.rt_tokenizer_vocab_size(self.handle)

    def special(self, spelling):
        return self.library.rt_tokenizer_special(self.handle, spelling.encode())

    def spelling(self, token):
        return self.library.rt_tokenizer_spelling(self.handle, token).decode(errors="replace")

    def kind(self, token):
        return self.library.rt_tokenizer_kind(self.handle, token)

    def bytes(self, token):
        pointer, size = ctypes.c_void_p(), ctypes.c_size_t()
        if not self.library.rt_tokenizer_bytes(self.handle, token, ctypes.byref(pointer), ctypes.byref(size)):
            return None
        return ctypes.string_at(pointer, size.value)

    def stream(self, ids):
        """The text that is whole after each token, and what is left at the end."""
        stream, out, size = _Stream(), ctypes.create_string_buffer(1 << 16), ctypes.c_size_t()
        parts = []
        for token in ids:
            if self.library.rt_text_stream_push(ctypes.byref(stream), self.handle, token, out, len(out),
                                                ctypes.byref(size)) != 0:
                raise RuntimeError(self.library.rt_error_message().decode())
            parts.append(out.raw[: size.value].decode())
        left = self.library.rt_text_stream_flush(ctypes.byref(stream), out)
        return parts, out.raw[:left].decode()
