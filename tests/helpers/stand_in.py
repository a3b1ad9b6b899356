"""A stand-in for `tensorflow_model_server`: versions of one model over REST and gRPC, on loopback.

It reads requests as https://www.tensorflow.org/tfx/serving/api_rest describes them, and computes by
`tf.saved_model.load`.
"""

import base64
import concurrent.futures
import http.server
import json
import re
import threading

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from keras_gan.utils.optional import tensorflow

PATH = re.compile(r"/v1/models/(\w+)(?:/(versions|labels)/(\w+))?:predict")


class Models:
    """The signatures of each version, and the labels that stand for versions."""

    def __init__(self, folder, versions, labels):
        load = tensorflow().saved_model.load
        # As long as the models live, their variables do.
        self.models = {version: load(str(folder / str(version))) for version in versions}
        self.labels = labels

    def signature(self, name, version=None, label=None):
        version = self.labels[label] if label else version or max(self.models)
        return self.models[int(version)].signatures[name or "serving_default"]


def run(signature, inputs):
    """Return NumPy arrays for what can be made tensors of."""
    tf = tensorflow()
    specs = signature.structured_input_signature[1]
    unknown = inputs.keys() ^ specs.keys()
    if unknown:
        raise ValueError(f"Inputs are {sorted(specs)}. Received: {sorted(inputs)}")
    tensors = {name: tf.constant(value, specs[name].dtype) for name, value in inputs.items()}
    return {name: value.numpy() for name, value in signature(**tensors).items()}


def in_json(name, array):
    if array.dtype != object:
        return array.tolist()
    coded = [in_json(name, np.asarray(v)) if isinstance(v, np.ndarray) else v for v in array.ravel()]
    if name.endswith("_bytes"):
        coded = [{"b64": base64.b64encode(value).decode()} for value in coded]
    return np.array(coded, object).reshape(array.shape).tolist()


def predict(models, path, body):
    """Answer one request of REST."""
    _, kind, which = PATH.fullmatch(path).groups()
    signature = models.signature(
        body.get("signature_name"), **({} if kind is None else {kind.removesuffix("s"): which})
    )
    names = list(signature.structured_input_signature[1])
    if "inputs" in body:
        inputs = body["inputs"]
        outputs = run(signature, inputs if isinstance(inputs, dict) else {names[0]: inputs})
        coded = {name: in_json(name, value) for name, value in outputs.items()}
        return {"outputs": coded if len(coded) > 1 else next(iter(coded.values()))}
    rows = [row if isinstance(row, dict) else {names[0]: row} for row in body["instances"]]
    outputs = run(signature, {name: [row[name] for row in rows] for name in rows[0]})
    coded = {name: in_json(name, value) for name, value in outputs.items()}
    if len(coded) == 1:
        return {"predictions": next(iter(coded.values()))}
    return {
        "predictions": [dict(zip(coded, row, strict=True)) for row in zip(*coded.values(), strict=True)]
    }


def rest_server(models):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, answer = 200, predict(models, self.path, body)
            except Exception as error:
                status, answer = 400, {"error": str(error)}
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *arguments):
            """Say nothing."""

    return http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def grpc_server(models):
    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            tf = tensorflow()
            spec = request.model_spec
            signature = models.signature(
                spec.signature_name, version=spec.version.value or None, label=spec.version_label
            )
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            try:
                outputs = run(signature, inputs)
            except Exception as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            answer = predict_pb2.PredictResponse()
            for name, value in outputs.items():
                answer.outputs[name].CopyFrom(tf.make_tensor_proto(value))
            return answer

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    return server, server.add_insecure_port("127.0.0.1:0")


class StandIn:
    """Both servers in threads of this process, while entered; `grpc` and `rest` are their ports."""

    def __init__(self, folder, versions, labels):
        models = Models(folder, versions, labels)
        self._rest = rest_server(models)
        self._grpc, self.grpc = grpc_server(models)
        self.rest = self._rest.server_address[1]

    def __enter__(self):
        threading.Thread(target=self._rest.serve_forever, daemon=True).start()
        self._grpc.start()
        return self

    def __exit__(self, *error):
        self._rest.shutdown()
        self._rest.server_close()
        self._grpc.stop(None).wait()
