// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

const protobufType = "application/vnd.kubernetes.protobuf"

// proto is a protobuf message, with the field numbers of generated.proto in k8s.io/api.
type proto []byte

// text adds v if it is a string.
func (p proto) text(num protowire.Number, v any) proto {
	s, ok := v.(string)
	if !ok {
		return p
	}
	return p.bytes(num, []byte(s))
}

func (p proto) bytes(num protowire.Number, b []byte) proto {
	return protowire.AppendBytes(protowire.AppendTag(p, num, protowire.BytesType), b)
}

// number adds v if it is a number or a bool.
func (p proto) number(num protowire.Number, v any) proto {
	var n uint64
	switch v := v.(type) {
	case float64:
		n = uint64(int64(v))
	case bool:
		n = protowire.EncodeBool(v)
	default:
		return p
	}
	return protowire.AppendVarint(protowire.AppendTag(p, num, protowire.VarintType), n)
}

// texts adds the entries of a map.
func (p proto) texts(num protowire.Number, v any) proto {
	for key, value := range fieldsOf(v) {
		p = p.bytes(num, proto(nil).text(1, key).text(2, value))
	}
	return p
}

// each adds every member of a list, encoded.
func (p proto) each(num protowire.Number, v any, encode func(fields) proto) proto {
	list, _ := v.([]any)
	for _, member := range list {
		p = p.bytes(num, encode(fieldsOf(member)))
	}
	return p
}

// one adds v, encoded, if it is an object.
func (p proto) one(num protowire.Number, v any, encode func(fields) proto) proto {
	if f, ok := v.(map[string]any); ok {
		p = p.bytes(num, encode(f))
	}
	return p
}

// fields is an object with the types of encoding/json.
type fields map[string]any

func fieldsOf(v any) fields {
	f, _ := v.(map[string]any)
	return f
}

// encodeObject returns a Service, an EndpointSlice or a Node in protobuf.
func encodeObject(r resource, f fields) proto {
	switch r {
	case slicesResource():
		return encodeSlice(f)
	case nodesResource():
		return encodeNode(f)
	}
	return encodeService(f)
}

func encodeMeta(f fields) proto {
	p := proto(nil).text(1, f["name"]).text(3, f["namespace"]).text(5, f["uid"]).text(6, f["resourceVersion"])
	if text, ok := f["creationTimestamp"].(string); ok {
		created, _ := time.Parse(time.RFC3339, text)
		p = p.bytes(8, proto(nil).number(1, float64(created.Unix())))
	}
	return p.texts(11, f["labels"]).texts(12, f["annotations"])
}

func encodeService(f fields) proto {
	return proto(nil).one(1, f["metadata"], encodeMeta).one(2, f["spec"], func(f fields) proto {
		return proto(nil).
			each(1, f["ports"], encodeServicePort).
			texts(2, f["selector"]).
			text(3, f["clusterIP"]).
			text(4, f["type"]).
			text(7, f["sessionAffinity"]).
			text(11, f["externalTrafficPolicy"]).
			one(14, f["sessionAffinityConfig"], func(f fields) proto {
				return proto(nil).one(1, f["clientIP"], func(f fields) proto { return proto(nil).number(1, f["timeoutSeconds"]) })
			})
	})
}

func encodeServicePort(f fields) proto {
	return proto(nil).text(1, f["name"]).text(2, f["protocol"]).number(3, f["port"]).bytes(4, encodeIntOrString(f["targetPort"])).
		number(5, f["nodePort"]).text(6, f["appProtocol"])
}

func encodeIntOrString(v any) proto {
	if s, ok := v.(string); ok {
		return proto(nil).number(1, 1.0).number(2, 0.0).text(3, s)
	}
	return proto(nil).number(1, 0.0).number(2, v).text(3, "")
}

func encodeNode(f fields) proto {
	return proto(nil).one(1, f["metadata"], encodeMeta).one(2, f["spec"], func(f fields) proto {
		var p proto
		cidrs, _ := f["podCIDRs"].([]any)
		for _, cidr := range cidrs {
			p = p.text(7, cidr)
		}
		return p
	}).one(3, f["status"], func(f fields) proto {
		return proto(nil).
			each(4, f["conditions"], func(f fields) proto { return proto(nil).text(1, f["type"]).text(2, f["status"]) }).
			each(5, f["addresses"], func(f fields) proto { return proto(nil).text(1, f["type"]).text(2, f["address"]) })
	})
}

func encodeSlice(f fields) proto {
	return proto(nil).
		one(1, f["metadata"], encodeMeta).
		each(2, f["endpoints"], encodeEndpoint).
		each(3, f["ports"], func(f fields) proto {
			return proto(nil).text(1, f["name"]).text(2, f["protocol"]).number(3, f["port"])
		}).
		text(4, f["addressType"])
}

func encodeEndpoint(f fields) proto {
	var p proto
	addresses, _ := f["addresses"].([]any)
	for _, address := range addresses {
		p = p.text(1, address)
	}
	return p.
		one(2, f["conditions"], func(f fields) proto {
			return proto(nil).number(1, f["ready"]).number(2, f["serving"]).number(3, f["terminating"])
		}).
		one(4, f["targetRef"], func(f fields) proto {
			return proto(nil).text(1, f["kind"]).text(2, f["namespace"]).text(3, f["name"])
		}).
		text(6, f["nodeName"])
}

// wrap returns an object within a runtime.Unknown.
func wrap(apiVersion, kind string, raw []byte) []byte {
	typeMeta := proto(nil).text(1, apiVersion).text(2, kind)
	return append([]byte("k8s\x00"), proto(nil).bytes(1, typeMeta).bytes(2, raw)...)
}

// frame returns one event of a watch.
func frame(kind string, wrapped []byte) []byte {
	event := proto(nil).text(1, kind).bytes(2, proto(nil).bytes(1, wrapped))
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(event))), event...)
}

func (s status) proto() []byte {
	raw := proto(nil).text(2, s.Status).text(3, s.Message).text(4, s.Reason).number(6, float64(s.Code))
	return wrap(s.APIVersion, s.Kind, raw)
}

func (l list) proto() []byte {
	meta := proto(nil).text(2, l.Metadata.ResourceVersion).text(3, l.Metadata.Continue).number(4, float64(l.Metadata.RemainingItemCount))
	raw := proto(nil).bytes(1, meta)
	for _, o := range l.objects {
		raw = raw.bytes(2, o.proto)
	}
	return wrap(l.APIVersion, l.Kind, raw)
}
