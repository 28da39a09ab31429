"""Reads one export with the messages of OpenTelemetry itself, and writes what is in it.

Anything that those do not know, or that OTLP wants otherwise, ends the program. Samples have the names and values that
they have on the page of metrics, so that the two can be compared line by line.
"""

import base64
import json
import re
import sys

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2

CUMULATIVE = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE


def main():
    # Protobuf's JSON has bytes in base64, OTLP's has these in hexadecimal digits.
    text = re.sub(r'"traceId":"([0-9a-f]{32})"', base64_field, sys.stdin.read())
    request = json_format.Parse(text, ExportMetricsServiceRequest())
    [resource_metrics] = request.resource_metrics
    [scope_metrics] = resource_metrics.scope_metrics
    samples, about = [], {}
    for metric in scope_metrics.metrics:
        assert metric.name not in about, metric.name
        kind = metric.WhichOneof("data")
        about[metric.name] = {"kind": kind, "unit": metric.unit, "description": metric.description}
        data = getattr(metric, kind)
        assert data.data_points, metric.name
        if kind != "gauge":
            assert data.aggregation_temporality == CUMULATIVE, metric.name
        if kind == "sum":
            assert data.is_monotonic, metric.name
        for point in data.data_points:
            assert 0 < point.time_unix_nano and point.start_time_unix_nano <= point.time_unix_nano, metric.name
            for name, labels, value, exemplar in samples_of(metric.name, kind, point):
                start, time = str(point.start_time_unix_nano), str(point.time_unix_nano)
                samples.append({"name": name + labels, "value": value, "start": start, "time": time, "exemplar": exemplar})
    scope = scope_metrics.scope
    json.dump({
        "resource": attributes(resource_metrics.resource.attributes),
        "scope": [scope.name, scope.version],
        "metrics": about,
        "samples": samples,
    }, sys.stdout)


def base64_field(match):
    return '"traceId":"' + base64.b64encode(bytes.fromhex(match.group(1))).decode() + '"'


def samples_of(name, kind, point):
    own = list(attributes(point.attributes).items())
    if kind != "histogram":
        which = point.WhichOneof("value")
        assert which, name
        yield name, labels(own), getattr(point, which), None
        return
    bounds = list(point.explicit_bounds)
    assert bounds == sorted(set(bounds)) and len(point.bucket_counts) == len(bounds) + 1, name
    assert sum(point.bucket_counts) == point.count, name
    exemplars = {bucket(bounds, exemplar.as_double): exemplar for exemplar in point.exemplars}
    assert len(exemplars) == len(point.exemplars), name
    total = 0
    for index, count in enumerate(point.bucket_counts):
        total += count
        bound = repr(bounds[index]) if index < len(bounds) else "+Inf"
        exemplar = exemplars.get(index)
        shown = exemplar and [exemplar.trace_id.hex(), exemplar.as_double, exemplar.time_unix_nano / 1e9]
        yield name + "_bucket", labels(own + [("le", bound)]), total, shown
    yield name + "_sum", labels(own), point.sum, None
    yield name + "_count", labels(own), point.count, None


def bucket(bounds, value):
    return next((index for index, bound in enumerate(bounds) if value <= bound), len(bounds))


def attributes(pairs):
    assert all(pair.value.WhichOneof("value") == "string_value" for pair in pairs)
    found = {pair.key: pair.value.string_value for pair in pairs}
    assert len(found) == len(pairs)
    return found


def labels(pairs):
    escaped = [value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for _, value in pairs]
    text = ",".join(f'{name}="{value}"' for (name, _), value in zip(pairs, escaped))
    return "{" + text + "}" if text else ""


main()
