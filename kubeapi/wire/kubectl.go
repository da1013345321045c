// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Decode reads what `kubectl get services,endpointslices -o json` or `-o yaml`
// prints: one object, a List, a ServiceList, an EndpointSliceList, or several of
// them as YAML documents. Objects of other kinds are skipped, and an object without a
// namespace is in "default". Two objects may have the same name. An error names the
// object; no objects are returned then.
func Decode(r io.Reader) ([]Labelled, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read objects: %v", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errors.New("read objects: the input is empty")
	}
	d := objectDecoder{strings: make(Interner)}
	for i, doc := range yamlDocuments(text) {
		if err := d.document(doc); err != nil {
			return nil, fmt.Errorf("read objects: document %d: %v", i+1, err)
		}
	}
	return d.objects, nil
}

// yamlDocuments splits text at the lines that begin a document. JSON is YAML of
// one document.
func yamlDocuments(text []byte) [][]byte {
	var docs [][]byte
	start, content := 0, false
	for pos := 0; pos < len(text); {
		end := len(text)
		if i := bytes.IndexByte(text[pos:], '\n'); i >= 0 {
			end = pos + i + 1
		}
		line := bytes.TrimRight(text[pos:end], "\r\n")
		marker := bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || line[3] == ' ' || line[3] == '\t')
		if marker && content {
			docs = append(docs, text[start:pos])
			start, content = pos, false
		}
		if marker || len(bytes.TrimSpace(line)) > 0 && line[0] != '#' {
			content = true
		}
		pos = end
	}
	return append(docs, text[start:])
}

var errNotKubectl = errors.New("not a Kubernetes object (write what kubectl get services,endpointslices -o yaml prints)")

// objectDecoder gathers the objects of several documents.
type objectDecoder struct {
	objects []Labelled
	strings Interner
}

// Labelled is an object with its labels, which the object itself does not have.
type Labelled struct {
	Object Object
	Labels map[string]string // possibly nil
}

// kubeObject is the head of any object, and the items of a list.
type kubeObject struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Items      []json.RawMessage `json:"items"`
}

// document adds the objects of one document, which may be empty.
func (d *objectDecoder) document(text []byte) error {
	text, err := toJSON(text)
	if err != nil || string(text) == "null" {
		return err
	}
	if text[0] != '{' {
		return errNotKubectl
	}
	var head kubeObject
	if err := json.Unmarshal(text, &head); err != nil {
		return plainError(err)
	}
	if head.Kind == "" {
		return errNotKubectl
	}
	kind, isList := strings.CutSuffix(head.Kind, "List")
	if !isList {
		return d.object(text, head.APIVersion, head.Kind)
	}
	for i, item := range head.Items {
		// The items of a List have a kind, those of a ServiceList need not.
		own := kubeObject{APIVersion: head.APIVersion, Kind: kind}
		err := json.Unmarshal(item, &own)
		if err == nil {
			err = d.object(item, own.APIVersion, own.Kind)
		}
		if err != nil {
			return fmt.Errorf("item %d: %v", i+1, plainError(err))
		}
	}
	return nil
}

// toJSON returns a document as JSON. Invalid JSON may be YAML in flow style; if it is
// neither, the error is that of JSON.
func toJSON(text []byte) ([]byte, error) {
	var raw json.RawMessage
	notJSON := json.Unmarshal(text, &raw)
	if notJSON == nil {
		return bytes.TrimSpace(text), nil
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return nil, notJSON
	}
	return converted, err
}

// object adds one object, or skips it if it has another kind. Knative has a kind
// Service, too.
func (d *objectDecoder) object(text []byte, apiVersion, kind string) error {
	var r Resource
	switch {
	case kind == "":
		return errors.New("there is no kind")
	case apiVersion == "v1" && kind == "Service":
		r = Services
	case apiVersion == "discovery.k8s.io/v1" && kind == "EndpointSlice":
		r = EndpointSlices
	case apiVersion == "v1" && kind == "Node":
		r = Nodes
	default:
		return nil
	}
	o, key, err := r.decode(func(v any) error { return json.Unmarshal(text, v) }, d.strings)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %v", kind, key, err)
	case key.Name == "":
		return fmt.Errorf("%s without a name", kind)
	}
	var w struct {
		Metadata struct {
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return fmt.Errorf("%s %s: %v", kind, key, plainError(err))
	}
	d.objects = append(d.objects, Labelled{inNamespace(o, "default"), w.Metadata.Labels})
	return nil
}

// inNamespace sets the namespace of o, which has just been decoded, if it has none.
func inNamespace(o Object, namespace string) Object {
	switch o := o.(type) {
	case *Service:
		if o.Namespace == "" {
			o.Namespace = namespace
		}
	case *EndpointSlice:
		if o.Namespace == "" {
			o.Namespace = namespace
		}
	}
	return o
}
