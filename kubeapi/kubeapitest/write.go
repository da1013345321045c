// SPDX-License-Identifier: Apache-2.0

package kubeapitest

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strings"
)

// gzipFrom is the length from which lists are compressed for those who take it,
// as in kube-apiserver.
const gzipFrom = 128 << 10

// encodable is an answer that can be written either way.
type encodable interface{ proto() []byte }

// write answers r with v, and ignores a client that went away.
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

// writeEvent ignores a client that went away: its context ends as well.
func writeEvent(w http.ResponseWriter, r request, e event) {
	if r.protobuf {
		_, _ = w.Write(frame(e.Type, e.proto))
		return
	}
	_ = json.NewEncoder(w).Encode(e)
}

// parseAccept notes how an answer is to be written.
func (r *request) parseAccept(h http.Header) {
	r.protobuf = strings.Contains(h.Get("Accept"), protobufType)
	r.gzip = strings.Contains(h.Get("Accept-Encoding"), "gzip")
}
