// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"io"
)

// jsonEvents reads a watch in JSON: one object for each event.
type jsonEvents struct {
	body     io.Reader
	dec      *json.Decoder
	resource Resource
	strings  Interner
}

func newJSONEvents(body io.Reader, r Resource, strings Interner) *jsonEvents {
	return &jsonEvents{body: body, dec: json.NewDecoder(body), resource: r, strings: strings}
}

func (d *jsonEvents) Next() (Event, error) {
	mark(d.body)
	var frame struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := plainError(d.dec.Decode(&frame)); isTypeError(err) {
		return Event{}, &UnreadableError{Err: err}
	} else if err != nil {
		return Event{}, err
	}
	e := Event{Kind: frame.Type}
	unmarshal := func(v any) error { return json.Unmarshal(frame.Object, v) }
	var key Key
	var err error
	switch frame.Type {
	case "ADDED", "MODIFIED", "DELETED":
		e.Object, key, err = d.resource.decode(unmarshal, d.strings)
	case "BOOKMARK":
		e.Bookmark, err = jsonBookmark(unmarshal)
	case "ERROR":
		e.Status, err = jsonStatus(unmarshal)
	}
	if err != nil {
		return Event{}, &UnreadableError{key, plainError(err)}
	}
	return e, e.check()
}

func jsonBookmark(unmarshal func(any) error) (Bookmark, error) {
	var mark struct {
		Metadata struct {
			ResourceVersion string            `json:"resourceVersion"`
			Annotations     map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	err := unmarshal(&mark)
	return Bookmark{
		Version: mark.Metadata.ResourceVersion,
		Listed:  mark.Metadata.Annotations[initialEventsEnd] == "true",
	}, err
}

// jsonStatus reads a metav1.Status.
func jsonStatus(unmarshal func(any) error) (*Status, error) {
	var status struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
	err := unmarshal(&status)
	return &Status{Code: status.Code, Message: status.Message}, err
}
