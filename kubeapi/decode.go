// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"io"

	"podgate/kubeapi/wire"
)

// Decode returns the Snapshot of what `kubectl get services,endpointslices -o
// json` or `-o yaml` prints: one object, a List, a ServiceList, an
// EndpointSliceList, or several of them as YAML documents. Objects of other kinds
// are ignored, an object without a namespace is in "default", and of two with one
// name the later counts. An error names the object; there is no Snapshot then.
func Decode(r io.Reader) (*Snapshot, error) {
	return DecodeSelected(r, "")
}

// DecodeSelected is Decode without the Services that a label selector does not match, as
// a Client with this selector has it.
func DecodeSelected(r io.Reader, selector string) (*Snapshot, error) {
	selected, err := ParseSelector(selector)
	if err != nil {
		return nil, err
	}
	objects, err := wire.Decode(r)
	if err != nil {
		return nil, err
	}
	s := newStore()
	for _, o := range objects {
		if svc, ok := o.Object.(*Service); ok && !selected.Matches(o.Labels) {
			s.remove(wire.Services, svc.Key)
			continue
		}
		s.put(o.Object)
	}
	return s.snapshot(1), nil
}
