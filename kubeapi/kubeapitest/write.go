// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
)

// gzipFrom is the length from which lists are compressed if the client accepts gzip, as in
// kube-apiserver.
const gzipFrom = 128 << 10

// encodable is an answer in JSON or protobuf.
type encodable interface{ proto() []byte }

// write answers r with v. It ignores errors: the client has disconnected then.
func write(w http.ResponseWriter, r request, code int, v encodable) {
	body, contentType := v.proto(), protobufType
	if !r.protobuf {
		contentType = "application/json"
		body, _ = json.Marshal(v) // of types that cannot fail
		body = append(body, '\n')
	}
	w.Header().Set("Content-Type", contentType)
	if r.gzip && len(body) >= gzipFrom {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(code)
		zip := gzip.NewWriter(w)
		_, _ = zip.Write(body)
		_ = zip.Close()
		return
	}
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

func writeStatus(w http.ResponseWriter, r request, code int, reason, message string) {
	write(w, r, code, newStatus(code, reason, message))
}

// writeEvent ignores errors: the context of the request ends, too.
func writeEvent(w http.ResponseWriter, r request, e event) {
	if r.protobuf {
		_, _ = w.Write(frame(e.Type, e.proto))
		return
	}
	_ = json.NewEncoder(w).Encode(e)
}

// parseAccept sets the encoding of the answer.
func (r *request) parseAccept(h http.Header) {
	r.protobuf = strings.Contains(h.Get("Accept"), protobufType)
	r.gzip = strings.Contains(h.Get("Accept-Encoding"), "gzip")
}
