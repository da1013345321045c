// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"io"
)

// jsonEvents reads a watch in JSON: one object for each event.
type jsonEvents struct {
	dec      *json.Decoder
	resource resource
	strings  interner
}

func newJSONEvents(body io.Reader, r resource, strings interner) *jsonEvents {
	return &jsonEvents{dec: json.NewDecoder(body), resource: r, strings: strings}
}

func (d *jsonEvents) next() (watchEvent, error) {
	var frame struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := plainError(d.dec.Decode(&frame)); isTypeError(err) {
		return watchEvent{}, &unreadableError{err: err}
	} else if err != nil {
		return watchEvent{}, err
	}
	e := watchEvent{kind: frame.Type}
	unmarshal := func(v any) error { return json.Unmarshal(frame.Object, v) }
	var key Key
	var err error
	switch frame.Type {
	case "ADDED", "MODIFIED", "DELETED":
		e.object, key, err = d.resource.decode(unmarshal, d.strings)
	case "BOOKMARK":
		e.mark, err = jsonBookmark(unmarshal)
	case "ERROR":
		e.status, err = jsonStatus(unmarshal)
	}
	if err != nil {
		return watchEvent{}, &unreadableError{key, plainError(err)}
	}
	return e, e.check()
}

func jsonBookmark(unmarshal func(any) error) (bookmark, error) {
	var mark struct {
		Metadata struct {
			ResourceVersion string            `json:"resourceVersion"`
			Annotations     map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	err := unmarshal(&mark)
	return bookmark{
		version: mark.Metadata.ResourceVersion,
		listed:  mark.Metadata.Annotations[initialEventsEnd] == "true",
	}, err
}

// jsonStatus reads a metav1.Status.
func jsonStatus(unmarshal func(any) error) (*statusError, error) {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	err := unmarshal(&status)
	return &statusError{code: status.Code, message: status.Message}, err
}
