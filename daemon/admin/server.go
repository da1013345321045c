// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"podgate/daemon/config"
	"podgate/daemon/transition"
)

const (
	saveInterval = time.Second
	// A request waits for HAProxy for milliseconds, and writes a megabyte at most.
	requestTimeout = 10 * time.Second
	closeTimeout   = 2 * time.Second
)

// Server answers operators. Its methods may be called concurrently.
type Server struct {
	config    config.Admin
	log       *slog.Logger
	view      atomic.Pointer[View]
	metrics   http.Handler
	templates *template.Template

	open atomic.Int64 // connections

	mu      sync.Mutex // guards history
	history historyFile
}

// New returns a Server. Serve starts it.
func New(c config.Admin, log *slog.Logger) *Server {
	s := &Server{config: c, log: log, templates: newTemplates(), history: historyFile{path: c.History}}
	s.metrics = newMetrics(s)
	return s
}

// Publish sets the View that is answered from.
func (s *Server) Publish(v *View) { s.view.Store(v) }

// View returns the last published View, nil before the first.
func (s *Server) View() *View { return s.view.Load() }

// History returns the Changes of the last run. It logs a file that cannot be read
// completely.
func (s *Server) History() []*Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	changes, err := s.history.load()
	if err != nil {
		s.log.Warn("history is incomplete", "file", s.config.History, "err", err)
	}
	return changes
}

// SaveHistory writes the Changes of the View to admin.history.
func (s *Server) SaveHistory() error {
	v := s.view.Load()
	if v == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.history.save(v.Changes)
}

// Serve answers requests until ctx ends. It logs addresses that it cannot listen on,
// and continues without them.
func (s *Server) Serve(ctx context.Context) {
	var serving sync.WaitGroup
	defer serving.Wait()
	for _, addr := range s.config.Listen {
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			s.log.Error("status page and metrics are not served", "addr", addr.String(), "err", err)
			continue
		}
		serving.Go(func() { s.serve(ctx, l, s.checkHost(s.routes())) })
	}
	if s.config.Socket != "" {
		l, err := listenUnix(s.config.Socket)
		if err != nil {
			s.log.Error("control socket is not served; podgate status and explain do not work", "file", s.config.Socket, "err", err)
		} else {
			serving.Go(func() { s.serve(ctx, l, s.routes()) })
		}
	}
	s.keepHistory(ctx)
}

func (s *Server) serve(ctx context.Context, l net.Listener, handler http.Handler) {
	conns := connections{count: &s.open, open: map[net.Conn]*connection{}}
	server := &http.Server{
		Handler:           limitAnswers(handler),
		ConnState:         conns.changed,
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		if server.Shutdown(closing) != nil {
			server.Close()
		}
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("status page and metrics are no longer served", "addr", l.Addr().String(), "err", err)
	}
}

// keepHistory saves the history every saveInterval until ctx ends.
func (s *Server) keepHistory(ctx context.Context) {
	tick := time.NewTicker(saveInterval)
	defer tick.Stop()
	var unsaved transition.Condition
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		text := ""
		if err := s.SaveHistory(); err != nil {
			text = err.Error()
		}
		if began, _ := unsaved.Set(text); began {
			s.log.Warn("history is not saved", "file", s.config.History, "err", text)
		}
	}
}

// listenUnix opens the control socket for the user and the group of podgate. It
// replaces the socket of a podgate that was killed.
func listenUnix(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, errors.New("another process answers on it (is another podgate running?)")
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == fs.ModeSocket {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(filepath.Dir(path), 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w (create the folder, writable for podgate, or set admin.socket to another path)", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}
