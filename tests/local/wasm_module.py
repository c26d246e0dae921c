"""A WebAssembly module for proxies (proxy-wasm ABI 0.2.1), put together by hand: it adds a header to every request."""

from __future__ import annotations

I32 = 0x7F
_REQUEST_HEADERS = 0


def adds_header(name: str, value: str) -> bytes:
    """The module's bytes (WebAssembly 1.0 binary format)."""
    types = [
        ((I32,) * 5, (I32,)),
        ((I32,), (I32,)),
        ((I32, I32), ()),
        ((I32, I32), (I32,)),
        ((I32,) * 3, (I32,)),
        ((), ()),
    ]
    text = (name + value).encode()
    add = b"".join(map(_const, (_REQUEST_HEADERS, 0, len(name), len(name), len(value)))) + b"\x10\x00\x1a" + _const(0)
    # (exported name, type, code): memory is given from where nothing else is.
    functions = [
        ("proxy_on_memory_allocate", 1, _const(1024)),
        ("proxy_on_context_create", 2, b""),
        ("proxy_on_vm_start", 3, _const(1)),
        ("proxy_on_configure", 3, _const(1)),
        ("proxy_on_request_headers", 4, add),
        ("proxy_abi_version_0_2_1", 5, b""),
    ]
    exports = [_name("memory") + b"\x02\x00"]
    exports += [_name(one) + b"\x00" + _number(index) for index, (one, _, _) in enumerate(functions, 1)]
    codes = [b"\x00" + code + b"\x0b" for _, _, code in functions]
    sections = {
        1: _vector([b"\x60" + _bytes(given) + _bytes(got) for given, got in types]),
        2: _vector([_name("env") + _name("proxy_add_header_map_value") + b"\x00\x00"]),
        3: _vector([_number(kind) for _, kind, _ in functions]),
        5: _vector([b"\x00\x01"]),
        7: _vector(exports),
        10: _vector([_number(len(code)) + code for code in codes]),
        11: _vector([b"\x00" + _const(0) + b"\x0b" + _bytes(text)]),
    }
    return b"\0asm\1\0\0\0" + b"".join(bytes([key]) + _number(len(body)) + body for key, body in sections.items())


def _takes(given: int, got: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (I32,) * given, (I32,) * got


def _number(value: int) -> bytes:
    """Unsigned LEB128."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low]) if not rest else bytes([low | 0x80]) + _number(rest)


def _signed(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low]) if not rest and low < 0x40 else bytes([low | 0x80]) + _signed(rest)


def _const(value: int) -> bytes:
    return b"\x41" + _signed(value)


def _vector(items: list[bytes]) -> bytes:
    return _number(len(items)) + b"".join(items)


def _bytes(items: bytes | tuple[int, ...]) -> bytes:
    return _number(len(items)) + bytes(items)


def _name(text: str) -> bytes:
    return _bytes(text.encode())
