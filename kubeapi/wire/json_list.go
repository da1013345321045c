// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/json"
	"fmt"
	"io"
)

// jsonPage decodes pages of a list, one item at a time: the list is never in memory as a
// whole.
type jsonPage struct {
	body     io.Reader
	resource Resource
	into     *List
}

// decode reads one page and returns the token of the next.
func (d *jsonPage) decode(body io.Reader) (string, error) {
	d.body = body
	dec := json.NewDecoder(body)
	if err := expect(dec, '{'); err != nil {
		return "", err
	}
	var meta struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue"`
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return "", readError(err)
		}
		switch name {
		case "metadata":
			err = dec.Decode(&meta)
		case "items":
			err = d.items(dec)
		default:
			err = dec.Decode(&json.RawMessage{})
		}
		if err != nil {
			return "", readError(err)
		}
	}
	if _, err := dec.Token(); err != nil {
		return "", readError(err)
	}
	if meta.ResourceVersion == "" {
		return "", errNoList
	}
	d.into.Version = meta.ResourceVersion
	return meta.Continue, nil
}

// items reads the array of objects, or null.
func (d *jsonPage) items(dec *json.Decoder) error {
	switch open, err := dec.Token(); {
	case err != nil || open == nil:
		return err
	case open != json.Delim('['):
		return fmt.Errorf("items is %v, not a list", open)
	}
	for dec.More() {
		mark(d.body)
		o, key, err := d.resource.decode(dec.Decode, d.into.Strings)
		switch {
		case err == nil && key.Name == "":
			return errNameless
		case err == nil:
			err = d.into.add(o)
		case isTypeError(err) && key.Name != "":
			err = d.into.skip(key, err)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err != nil {
		return readError(err)
	}
	if got != want {
		return fmt.Errorf("read answer: it begins with %v, not with %v", got, want)
	}
	return nil
}
