"""Remote Write 1.0 and 2.0 by Google's protobuf: messages made at run time from the specification's field numbers."""

from __future__ import annotations

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_STRING, _DOUBLE, _INT64, _MESSAGE = _Field.TYPE_STRING, _Field.TYPE_DOUBLE, _Field.TYPE_INT64, _Field.TYPE_MESSAGE
_UINT32 = _Field.TYPE_UINT32

# message -> (field, number, type, message type, repeated); exemplars and metadata only as far as a sender fills them
_MESSAGES = {
    "Label": [("name", 1, _STRING, "", False), ("value", 2, _STRING, "", False)],
    "Sample": [("value", 1, _DOUBLE, "", False), ("timestamp", 2, _INT64, "", False)],
    "Exemplar": [
        ("labels", 1, _MESSAGE, "Label", True),
        ("value", 2, _DOUBLE, "", False),
        ("timestamp", 3, _INT64, "", False),
    ],
    "TimeSeries": [
        ("labels", 1, _MESSAGE, "Label", True),
        ("samples", 2, _MESSAGE, "Sample", True),
        ("exemplars", 3, _MESSAGE, "Exemplar", True),
    ],
    "MetricMetadata": [("metric_family_name", 2, _STRING, "", False), ("help", 4, _STRING, "", False)],
    "WriteRequest": [
        ("timeseries", 1, _MESSAGE, "TimeSeries", True),
        ("metadata", 3, _MESSAGE, "MetricMetadata", True),
    ],
    "Sample2": [
        ("value", 1, _DOUBLE, "", False),
        ("timestamp", 2, _INT64, "", False),
        ("start_timestamp", 3, _INT64, "", False),
    ],
    "Exemplar2": [
        ("labels_refs", 1, _UINT32, "", True),
        ("value", 2, _DOUBLE, "", False),
        ("timestamp", 3, _INT64, "", False),
    ],
    "Histogram2": [("sum", 3, _DOUBLE, "", False), ("timestamp", 15, _INT64, "", False)],
    "Metadata2": [
        ("type", 1, _UINT32, "", False),
        ("help_ref", 3, _UINT32, "", False),
        ("unit_ref", 4, _UINT32, "", False),
    ],
    "TimeSeries2": [
        ("labels_refs", 1, _UINT32, "", True),
        ("samples", 2, _MESSAGE, "Sample2", True),
        ("histograms", 3, _MESSAGE, "Histogram2", True),
        ("exemplars", 4, _MESSAGE, "Exemplar2", True),
        ("metadata", 5, _MESSAGE, "Metadata2", False),
        ("created_timestamp", 6, _INT64, "", False),
    ],
    "Request2": [("symbols", 4, _STRING, "", True), ("timeseries", 5, _MESSAGE, "TimeSeries2", True)],
}


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="oracle.proto", package="oracle", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, message_type, repeated in fields:
            message.field.add(
                name=field,
                number=number,
                type=kind,
                type_name=f".oracle.{message_type}" if message_type else None,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            )
    return file


_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_file())
WriteRequest = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("oracle.WriteRequest"))
Request2 = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("oracle.Request2"))
