// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
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

// BenchmarkDecode100kEndpoints measures one list of 100,000 endpoints, and
// encoding/json into maps beside it as a yardstick.
func BenchmarkDecode100kEndpoints(b *testing.B) {
	text := bigList()
	b.Run("page", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			d := pageDecoder{resource: endpointSlices, strings: make(interner), into: &listing{}}
			if _, err := d.decode(bytes.NewReader(text)); err != nil {
				b.Fatal(err)
			}
			if got := len(d.into.objects); got != 5000 {
				b.Fatalf("%d slices, want 5000", got)
			}
		}
	})
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

// BenchmarkSnapshotAfterOneChange measures what one event costs among 5,000
// Services.
func BenchmarkSnapshotAfterOneChange(b *testing.B) {
	d := pageDecoder{resource: endpointSlices, strings: make(interner), into: &listing{}}
	if _, err := d.decode(bytes.NewReader(bigList())); err != nil {
		b.Fatal(err)
	}
	s := newStore()
	s.replace(source{endpointSlices, ""}, d.into)
	first := *d.into.objects[0].(*EndpointSlice)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		changed := first
		changed.ResourceVersion = fmt.Sprint(i)
		s.put(&changed)
		s.snapshot(1)
	}
}
