"""Run a SavedModel by TensorFlow's C API, as TensorFlow Serving does: no Python of TensorFlow or Keras.

python capi.py FOLDER SIGNATURE INPUTS.npz OUTPUTS.npz
"""

import ctypes
import importlib.util
import pathlib
import sys

import numpy as np

DTYPES = {1: np.float32, 3: np.int32, 4: np.uint8, 9: np.int64}
POINTERS = (
    "NewStatus",
    "Message",
    "NewGraph",
    "NewSessionOptions",
    "LoadSessionFromSavedModel",
    "GraphOperationByName",
    "AllocateTensor",
    "TensorData",
)
CODES = {np.dtype(dtype): code for code, dtype in DTYPES.items()}


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Buffer(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("deallocator", ctypes.c_void_p),
    ]


def library():
    """Load the library from TensorFlow's wheel."""
    folder = pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent
    for name in ("libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        api = ctypes.CDLL(str(folder / name), mode=ctypes.RTLD_GLOBAL)
    for name in POINTERS:
        getattr(api, f"TF_{name}").restype = ctypes.c_void_p
    api.TF_Message.restype = ctypes.c_char_p
    api.TF_TensorByteSize.restype = ctypes.c_size_t
    api.TF_Dim.restype = ctypes.c_int64
    return api


class Fields:
    """A message of Protocol Buffers without its schema: `{number: [values]}`."""

    def __init__(self, data):
        self.values, position = {}, 0
        while position < len(data):
            key, position = varint(data, position)
            if key & 7 == 0:
                value, position = varint(data, position)
            else:
                size, start = (8, position) if key & 7 == 1 else (4, position)
                if key & 7 == 2:
                    size, start = varint(data, position)
                value, position = data[start : start + size], start + size
            self.values.setdefault(key >> 3, []).append(value)

    def all(self, number):
        return self.values.get(number, [])

    def one(self, number):
        return self.values[number][0]


def varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def tensors(meta_graph, name):
    """Return the names of a signature's inputs and outputs in the graph, from `saved_model.pb`."""
    for entry in map(Fields, meta_graph.all(5)):  # signature_def
        if entry.one(1).decode() == name:
            signature = Fields(entry.one(2))
            return [
                {e.one(1).decode(): Fields(e.one(2)).one(1).decode() for e in map(Fields, both)}
                for both in (signature.all(1), signature.all(2))
            ]
    raise KeyError(name)


class Session:
    """A SavedModel, loaded with the tag `serve`."""

    def __init__(self, folder, tag=b"serve"):
        self.api, pointer = library(), ctypes.c_void_p
        self.status, self.graph = pointer(self.api.TF_NewStatus()), pointer(self.api.TF_NewGraph())
        tags, options = (ctypes.c_char_p * 1)(tag), pointer(self.api.TF_NewSessionOptions())
        self.session = pointer(
            self.api.TF_LoadSessionFromSavedModel(
                options, None, str(folder).encode(), tags, 1, self.graph, None, self.status
            )
        )
        self.check()
        model = Fields((pathlib.Path(folder) / "saved_model.pb").read_bytes())
        self.meta_graph = Fields(model.one(2))

    def check(self):
        if self.api.TF_GetCode(self.status):
            raise RuntimeError(self.api.TF_Message(self.status).decode())

    def place(self, name):
        operation, _, index = name.partition(":")
        found = self.api.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def tensor(self, array):
        sizes = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor = self.api.TF_AllocateTensor(
            CODES[array.dtype], sizes, array.ndim, ctypes.c_size_t(array.nbytes)
        )
        data = self.api.TF_TensorData(ctypes.c_void_p(tensor))
        ctypes.memmove(data, np.ascontiguousarray(array).ctypes.data, array.nbytes)
        return tensor

    def array(self, tensor):
        tensor = ctypes.c_void_p(tensor)
        shape = [self.api.TF_Dim(tensor, axis) for axis in range(self.api.TF_NumDims(tensor))]
        content = ctypes.string_at(self.api.TF_TensorData(tensor), self.api.TF_TensorByteSize(tensor))
        return np.frombuffer(content, DTYPES[self.api.TF_TensorType(tensor)]).reshape(shape)

    def run(self, signature, inputs):
        """Return `{name: array}` of a signature's outputs for `{name: array}` of its inputs."""
        ins, outs = tensors(self.meta_graph, signature)
        feeds = (Output * len(ins))(*[self.place(name) for name in ins.values()])
        values = (ctypes.c_void_p * len(ins))(*[self.tensor(np.asarray(inputs[name])) for name in ins])
        fetches = (Output * len(outs))(*[self.place(name) for name in outs.values()])
        results = (ctypes.c_void_p * len(outs))()
        self.api.TF_SessionRun(
            self.session, None, feeds, values, len(ins), fetches, results, len(outs), None, 0, None,
            self.status,
        )  # fmt: skip
        self.check()
        return {name: self.array(result) for name, result in zip(outs, results, strict=True)}


def main(folder, signature, inputs, outputs):
    results = Session(folder).run(signature, dict(np.load(inputs)))
    if {"tensorflow", "keras", "keras_gan"} & set(sys.modules):
        raise SystemExit("Python's TensorFlow or Keras was imported.")
    np.savez(outputs, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
