// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// bigList returns an EndpointSliceList of 5,000 slices of 20 endpoints, as a
// kube-apiserver writes it.
func bigList() []byte {
	var b bytes.Buffer
	b.WriteString(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"7"},"items":[`)
	for i := range 5000 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"metadata":{"name":"app-%04d-abcde","generateName":"app-%04d-","namespace":"shop","uid":"5c1f4b1e-0000-4000-8000-%012d","resourceVersion":"%d","generation":3,"creationTimestamp":"2026-01-02T03:04:05Z","labels":{"app":"app-%04d","endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"app-%04d"},"ownerReferences":[{"apiVersion":"v1","kind":"Service","name":"app-%04d","uid":"5c1f4b1e-0000-4000-8000-000000000000","controller":true,"blockOwnerDeletion":true}]},"addressType":"IPv4","endpoints":[`, i, i, i, 1000+i, i, i, i)
		for j := range 20 {
			if j > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"addresses":["10.%d.%d.%d"],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","namespace":"shop","name":"app-%04d-%05d","uid":"5c1f4b1e-0000-4000-8000-%012d"},"nodeName":"node-%03d","zone":"z%d"}`,
				i/250, i%250, j, i, j, j, (i+j)%200, j%3)
		}
		b.WriteString(`],"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}`)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// BenchmarkDecode100kEndpoints measures one list of 100,000 endpoints in either
// encoding, and encoding/json into maps for comparison. "live" is what
// stays in memory.
func BenchmarkDecode100kEndpoints(b *testing.B) {
	text := bigList()
	for _, encoding := range []struct {
		name string
		body []byte
		typ  string
	}{
		{"protobuf", protoList(b, text), protobufType},
		{"json", text, jsonType},
	} {
		b.Run(encoding.name, func(b *testing.B) {
			b.SetBytes(int64(len(encoding.body)))
			b.ReportAllocs()
			var l *List
			before := liveBytes()
			for b.Loop() {
				l = NewList()
				if _, err := ReadPage(encoding.typ, bytes.NewReader(encoding.body), EndpointSlices, l); err != nil {
					b.Fatal(err)
				}
				if got := len(l.Objects); got != 5000 {
					b.Fatalf("%d slices, want 5000", got)
				}
			}
			b.ReportMetric(float64(liveBytes()-before)/(1<<20), "MiB-live")
			runtime.KeepAlive(l)
		})
	}
	b.Run("map", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var whole map[string]any
			if err := json.NewDecoder(bytes.NewReader(text)).Decode(&whole); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// liveBytes returns how much memory is in use after a collection.
func liveBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// protoList returns a list of EndpointSlices in protobuf, with what is read of
// it and the owner, labels and uids that are not.
func protoList(b *testing.B, text []byte) []byte {
	b.Helper()
	var list struct {
		Items []struct {
			jsonSlice
			Metadata struct {
				Name, Namespace, UID, ResourceVersion string
				Labels                                map[string]string
			} `json:"metadata"`
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		b.Fatal(err)
	}
	field := func(p []byte, num protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(p, num, protowire.BytesType), value)
	}
	number := func(p []byte, num protowire.Number, value uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(p, num, protowire.VarintType), value)
	}
	pair := func(num protowire.Number, first string, other protowire.Number, second string) []byte {
		return field(field(nil, num, []byte(first)), other, []byte(second))
	}
	whole := field(nil, 1, field(nil, 2, []byte("7")))
	for _, s := range list.Items {
		meta := field(pair(1, s.Metadata.Name, 3, s.Metadata.Namespace), 5, []byte(s.Metadata.UID))
		meta = field(field(meta, 6, []byte(s.Metadata.ResourceVersion)), 8, number(nil, 1, 1767323045))
		for key, value := range s.Metadata.Labels {
			meta = field(meta, 11, pair(1, key, 2, value))
		}
		meta = field(meta, 13, pair(1, "v1", 3, s.Metadata.Labels[serviceNameLabel]))
		item := field(nil, 1, meta)
		for _, e := range s.Endpoints {
			ref := field(pair(1, e.TargetRef.Kind, 2, s.Metadata.Namespace), 3, []byte(e.TargetRef.Name))
			endpoint := field(nil, 1, []byte(e.Addresses[0]))
			endpoint = field(endpoint, 2, number(number(number(nil, 1, 1), 2, 1), 3, 0))
			endpoint = field(endpoint, 4, field(ref, 4, []byte(s.Metadata.UID)))
			endpoint = field(field(endpoint, 6, []byte(e.NodeName)), 7, []byte("z1"))
			item = field(item, 2, endpoint)
		}
		for _, p := range s.Ports {
			item = field(item, 3, number(pair(1, p.Name, 2, p.Protocol), 3, uint64(p.Port)))
		}
		whole = field(whole, 2, field(item, 4, []byte(s.AddressType)))
	}
	return append([]byte(protoMagic), field(nil, unknownRaw, whole)...)
}
