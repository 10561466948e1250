package torture

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// proxyPostgres stands before a Postgres and understands as much of its protocol as tells one statement from the next:
// messages, a Query, and the ReadyForQuery that ends its answer. coatcheck uses the simple protocol only; a statement
// that came by the extended one would pass unseen, so that is a failure.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type proxyPostgres struct {
	t        testing.TB
	URL      string
	watch    proxyWatch
	network  string // of the server
	address  string
	listener net.Listener
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns map[*proxyConn]bool
}

// newProxyPostgres serves until the test ends.
func newProxyPostgres(t testing.TB, databaseURL string, watch proxyWatch) *proxyPostgres {
	t.Helper()
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	p := &proxyPostgres{t: t, watch: watch, conns: map[*proxyConn]bool{}}
	p.network, p.address = pgconn.NetworkAddress(config.Host, config.Port)
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	u := url.URL{Scheme: "postgres", Host: p.listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	u.User = url.UserPassword(config.User, config.Password)
	p.URL = u.String()
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		p.listener.Close()
		p.cutAll()
		p.wg.Wait()
	})
	return p
}

func (p *proxyPostgres) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// cutAll closes every connection, in the middle of whatever it does, and returns how many there were.
func (p *proxyPostgres) cutAll() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	for c := range p.conns {
		c.cut()
	}
	return n
}

// proxyConn is one connection through the proxy.
type proxyConn struct {
	p              *proxyPostgres
	client, server net.Conn

	mu      sync.Mutex
	pending []proxyPending // statements that the server has not answered
}

type proxyPending struct {
	effect proxyEffect
	fate   proxyFate
}

func (c *proxyConn) cut() {
	c.client.Close()
	c.server.Close()
}

const (
	proxyCancelRequest = 80877102
	proxySSLRequest    = 80877103
	proxyGSSRequest    = 80877104
)

func (p *proxyPostgres) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		return // it is down, or starting
	}
	c := &proxyConn{p: p, client: client, server: server}
	defer c.cut()
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	from := bufio.NewReader(client)
	if !c.startUp(from) {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		defer c.cut()
		c.answers()
	})
	c.requests(from)
	c.cut()
	answers.Wait()
}

// startUp passes on the first message, which has no type. A request to cancel is all there is to its connection.
func (c *proxyConn) startUp(from *bufio.Reader) bool {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(from, head); err != nil {
			return false
		}
		switch binary.BigEndian.Uint32(head[4:]) {
		case proxySSLRequest, proxyGSSRequest:
			if _, err := c.client.Write([]byte("N")); err != nil {
				return false
			}
			continue
		case proxyCancelRequest:
			rest := make([]byte, binary.BigEndian.Uint32(head)-8)
			if _, err := io.ReadFull(from, rest); err == nil {
				_, _ = c.server.Write(append(head, rest...))
				_, _ = c.server.Read(head) // the server closes when it has done so
			}
			return false
		}
		rest := make([]byte, binary.BigEndian.Uint32(head)-8)
		if _, err := io.ReadFull(from, rest); err != nil {
			return false
		}
		_, err := c.server.Write(append(head, rest...))
		return err == nil
	}
}

// proxyMessage reads one message, with its type and length.
func proxyMessage(from *bufio.Reader) ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	message := make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
	copy(message, head)
	_, err := io.ReadFull(from, message[5:])
	return message, err
}

// requests passes on what the client sends until it leaves or is cut. By the extended protocol a statement is the messages
// up to a Sync. One that executes nothing, but asks for types, changes nothing.
func (c *proxyConn) requests(from *bufio.Reader) {
	var (
		extended []byte
		texts    = make(map[string]string) // of what was prepared, by name
		text     string
		executes bool
	)
	for {
		message, err := proxyMessage(from)
		if err != nil {
			return
		}
		switch message[0] {
		case 'F':
			c.p.t.Errorf("a function was called by the protocol's own message, which the proxy does not read: %.100q", message)
			return
		case 'P', 'B', 'D', 'E', 'C':
			extended = append(extended, message...)
			executes = executes || message[0] == 'E'
			name, rest, _ := strings.Cut(string(message[5:]), "\x00")
			switch message[0] {
			case 'P': // a name, and the text
				texts[name], _, _ = strings.Cut(rest, "\x00")
			case 'B': // a name of its own, and that of what was prepared
				name, _, _ = strings.Cut(rest, "\x00")
				text = texts[name]
			}
		case 'S':
			extended = append(extended, message...)
			if executes && text == "" {
				c.p.t.Errorf("a statement came without its text: %.100q", extended)
				return
			}
			if !executes {
				if _, err := c.server.Write(extended); err != nil {
					return
				}
			} else if !c.statement(text, extended) {
				return
			}
			extended, text, executes = nil, "", false
		case 'Q':
			if !c.statement(strings.TrimSuffix(string(message[5:]), "\x00"), message) {
				return
			}
		default:
			if _, err := c.server.Write(message); err != nil {
				return
			}
		}
	}
}

// statement passes on one statement, and reports false when the connection is to be cut.
func (c *proxyConn) statement(text string, message []byte) bool {
	effect := proxyEffect{"postgres", proxyStatement(text)}
	fate := c.p.watch.Before(effect)
	if fate.Delay > 0 {
		time.Sleep(fate.Delay)
	}
	switch fate.Cut {
	case proxyBefore:
		return false
	case proxyRequest:
		_, _ = c.server.Write(message[:len(message)/2])
		return false
	}
	c.mu.Lock()
	c.pending = append(c.pending, proxyPending{effect, fate})
	c.mu.Unlock()
	_, err := c.server.Write(message)
	return err == nil
}

// answers passes on what the server sends: the answer to a statement when it is whole, anything else at once.
func (c *proxyConn) answers() {
	from := bufio.NewReader(c.server)
	var answer []byte
	for {
		message, err := proxyMessage(from)
		if err != nil {
			_, _ = c.client.Write(answer) // such as the reason for which the server closes
			return
		}
		answer = append(answer, message...)
		c.mu.Lock()
		waiting := len(c.pending) > 0
		c.mu.Unlock()
		copying := message[0] == 'G' // the client is to send its data now
		if waiting && message[0] != 'Z' && !copying {
			continue
		}
		if waiting && !copying {
			c.mu.Lock()
			done := c.pending[0]
			c.pending = c.pending[1:]
			c.mu.Unlock()
			if !c.p.watch.After(done.effect, done.fate) || done.fate.Cut == proxyAnswered {
				return
			}
			if done.fate.Cut == proxyAnswer {
				_, _ = c.client.Write(answer[:len(answer)/2])
				return
			}
		}
		if _, err := c.client.Write(answer); err != nil {
			return
		}
		answer = nil
	}
}

var (
	proxyLiteral = regexp.MustCompile(`'(?:[^']|'')*'|\b\d+\b`)
	proxyWord    = regexp.MustCompile(`'([a-z_]+)'`)
	proxyChange  = regexp.MustCompile(`\b(UPDATE|DELETE|INSERT)\b`)
	proxyComment = regexp.MustCompile(`(?m)^\s*--.*$`)
	proxySpace   = regexp.MustCompile(`\s+`)
)

// proxyName is how much of a statement names it, in bytes.
const proxyName = 60

// proxyStatement names a statement, without the values in it, so that it has the same name each time: how it begins;
// or, where that is a WITH that many share, what it does, and the words in it, which are states and reasons.
func proxyStatement(text string) string {
	text = proxyComment.ReplaceAllString(text[:min(len(text), 8192)], "")
	text = strings.Trim(proxySpace.ReplaceAllString(text, " "), " ;")
	name := proxyLiteral.ReplaceAllString(text, "?")
	if words := strings.Fields(text); len(words) > 2 && words[0] == "WITH" {
		name = words[0] + " " + words[1] + " " + proxyChange.FindString(strings.ReplaceAll(text, "FOR UPDATE", ""))
		for _, m := range proxyWord.FindAllStringSubmatch(text, 3) {
			name += " " + m[1]
		}
	}
	return name[:min(len(name), proxyName)]
}
