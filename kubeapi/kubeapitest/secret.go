// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"podgate/kubeapi"
)

// SetSecret creates or replaces a Secret of type kubernetes.io/tls. Its
// resourceVersion is ignored.
func (s *Server) SetSecret(secret *kubeapi.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets == nil {
		s.secrets = map[kubeapi.Key]kubeapi.Secret{}
	}
	next := *secret
	next.ResourceVersion = strconv.Itoa(len(s.secrets) + len(secret.Certificate))
	s.secrets[secret.Key] = next
}

// serveSecret answers a get of one Secret, and reports whether the request was one.
func (s *Server) serveSecret(w http.ResponseWriter, req *http.Request) bool {
	inside, _ := strings.CutPrefix(req.URL.Path, "/api/v1/namespaces/")
	namespace, name, ok := strings.Cut(inside, "/secrets/")
	if !ok {
		return false
	}
	s.mu.Lock()
	secret, there := s.secrets[kubeapi.Key{Namespace: namespace, Name: name}]
	forbidden := s.faults.forbid("get", "secrets", namespace)
	s.mu.Unlock()
	if forbidden {
		writeStatus(w, request{}, http.StatusForbidden, "Forbidden", "secrets \""+name+"\" is forbidden")
		return true
	}
	if !there {
		writeStatus(w, request{}, http.StatusNotFound, "NotFound", "secrets \""+name+"\" not found")
		return true
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // fails if the client has disconnected
		"kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/tls",
		"metadata": map[string]any{"namespace": namespace, "name": name, "resourceVersion": secret.ResourceVersion},
		"data":     map[string][]byte{"tls.crt": secret.Certificate, "tls.key": secret.PrivateKey},
	})
	return true
}
