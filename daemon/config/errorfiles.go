// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"podgate/haproxy"
)

// errorCodes returns the status codes of HAProxy's own answers
// (configuration.txt "errorfile").
func errorCodes() []int {
	return []int{400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504}
}

// findErrorFiles returns the CODE.http files in folder, by code. It returns none if
// the folder does not exist.
func (d *document) findErrorFiles(folder string) []haproxy.ErrorFile {
	const key = "haproxy.error_files"
	if folder == "" || !d.valid(key) {
		return nil
	}
	var files []haproxy.ErrorFile
	for _, code := range errorCodes() {
		path := filepath.Join(folder, fmt.Sprintf("%d.http", code))
		switch stat, err := os.Stat(path); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			d.reject(key, key, "look for error files: %v", err)
			return nil
		case stat.Mode().IsRegular():
			files = append(files, haproxy.ErrorFile{Code: code, Path: path})
		}
	}
	return files
}
