// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"podgate/kubeapi"
)

type objectKey struct {
	resource resource
	kubeapi.Key
}

// object is one version of an object; it is never changed.
type object struct {
	key    objectKey
	labels map[string]string
	json   json.RawMessage
	proto  []byte
}

// newObject encodes o, which has the types of encoding/json.
func newObject(key objectKey, o map[string]any) (*object, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	var plain map[string]any // o may hold Go's own ints and maps
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, err
	}
	meta := fieldsOf(plain["metadata"])
	return &object{key: key, labels: labelsOf(meta), json: text, proto: encodeObject(key.resource, plain)}, nil
}

// event returns an event about the object.
func (o *object) event(kind string) event {
	r := o.key.resource
	return event{Type: kind, Object: o.json, proto: wrap(r.apiVersion, r.kind, o.proto)}
}

// change is one entry of the history. before is nil for a new object, after for a deleted
// one.
type change struct {
	version       int
	key           objectKey
	before, after *object
	last          *object // a deleted object, at this version
}

// Apply creates or replaces the objects in text, YAML documents or JSON, as
// `kubectl apply` does: Services, EndpointSlices, Nodes and Lists of them. An object
// without a namespace is in "default". On an error the objects before it have been
// applied.
func (s *Server) Apply(text string) error {
	for _, doc := range strings.Split("\n"+text, "\n---") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			return fmt.Errorf("apply: %v", err)
		}
		if o == nil {
			continue
		}
		if err := s.ApplyObject(o); err != nil {
			return err
		}
	}
	return nil
}

// ApplyObject creates or replaces one object, or those of a List, given as
// encoding/json decodes it. The server keeps its uid and creationTimestamp, and
// sets its resourceVersion; o is not changed.
func (s *Server) ApplyObject(o map[string]any) error {
	if items, ok := o["items"].([]any); ok {
		for _, item := range items {
			inner, _ := item.(map[string]any)
			if err := s.ApplyObject(inner); err != nil {
				return err
			}
		}
		return nil
	}
	kind, _ := o["kind"].(string)
	r, err := resourceByKind(kind)
	if err != nil {
		return fmt.Errorf("apply: %v", err)
	}
	meta, _ := o["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	if name == "" {
		return fmt.Errorf("apply: %s without a name", kind)
	}
	namespace, _ := meta["namespace"].(string)
	key := objectKey{r, kubeapi.Key{Namespace: cmp.Or(namespace, "default"), Name: name}}
	if r == nodesResource() {
		key.Namespace = ""
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(key, o, meta)
}

// put stores a new version of an object. The caller holds s.mu.
func (s *Server) put(key objectKey, o, meta map[string]any) error {
	before := s.objects[key]
	o, meta = maps.Clone(o), maps.Clone(meta)
	o["metadata"] = meta
	o["apiVersion"] = key.resource.apiVersion
	if key.Namespace != "" {
		meta["namespace"] = key.Namespace
	}
	meta["resourceVersion"] = strconv.Itoa(s.version + 1)
	for name, fallback := range map[string]string{
		"uid":               fmt.Sprintf("00000000-0000-4000-8000-%012d", s.version+1),
		"creationTimestamp": time.Now().UTC().Format(time.RFC3339),
	} {
		if meta[name] == nil {
			meta[name] = before.meta(name, fallback)
		}
	}
	after, err := newObject(key, o)
	if err != nil {
		return fmt.Errorf("apply %s %s: %v", key.resource.kind, key, err)
	}
	s.objects[key] = after
	s.record(change{key: key, before: before, after: after})
	return nil
}

// meta returns a string of the object's metadata, or fallback if o is nil.
func (o *object) meta(name, fallback string) string {
	if o == nil {
		return fallback
	}
	var head struct {
		Metadata map[string]any `json:"metadata"`
	}
	_ = json.Unmarshal(o.json, &head) // it was marshalled by put
	text, _ := head.Metadata[name].(string)
	return cmp.Or(text, fallback)
}

func labelsOf(meta map[string]any) map[string]string {
	labels := make(map[string]string)
	given, _ := meta["labels"].(map[string]any)
	for key, value := range given {
		labels[key] = fmt.Sprint(value)
	}
	return labels
}

// Delete deletes an object by its kind, and reports whether it existed.
func (s *Server) Delete(kind, namespace, name string) bool {
	r, err := resourceByKind(kind)
	if err != nil {
		return false
	}
	key := objectKey{r, kubeapi.Key{Namespace: namespace, Name: name}}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.objects[key]
	if before == nil {
		return false
	}
	delete(s.objects, key)
	s.record(change{key: key, before: before, last: before.withVersion(s.version + 1)})
	return true
}

// withVersion returns the object with another resourceVersion.
func (o *object) withVersion(version int) *object {
	var whole map[string]any
	_ = json.Unmarshal(o.json, &whole) // it was marshalled by put
	whole["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(version)
	other, _ := newObject(o.key, whole) // cannot fail: put has marshalled the same
	return other
}

// record makes c the newest change. The caller holds s.mu.
func (s *Server) record(c change) {
	s.version++
	c.version = s.version
	s.history = append(s.history, c)
	s.trim()
	s.announce()
}

// trim removes the oldest changes of a full history. The caller holds s.mu.
func (s *Server) trim() {
	if extra := len(s.history) - s.window; extra > 0 {
		s.oldest = s.history[extra-1].version
		s.history = slices.Delete(s.history, 0, extra)
	}
}

// ResourceVersion returns the version of the last change.
func (s *Server) ResourceVersion() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strconv.Itoa(s.version)
}

// selected returns the objects of r, in the order of etcd. The caller holds s.mu.
func (s *Server) selected(r request) []*object {
	var all []*object
	if slices.Contains(s.faults.hidden, r.resource.name) {
		s.hidden[r.resource.name]++
		return nil
	}
	objects := s.objects
	if s.faults.stale != nil {
		objects = s.faults.stale
	}
	for key, o := range objects {
		if r.covers(key) && r.selector.matches(o.labels) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *object) int { return strings.Compare(a.key.String(), b.key.String()) })
	return all
}

func (r request) covers(key objectKey) bool {
	return key.resource == r.resource && (r.namespace == "" || r.namespace == key.Namespace)
}
