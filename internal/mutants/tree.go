package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository returns the root of the repository that this runs in, and the files of its tree as they are now: those that
// are tracked, and new ones that are not ignored. What was deleted is left out.
func repository(ctx context.Context) (root string, files []string, err error) {
	out, err := git(ctx, "", "rev-parse", "--show-toplevel")
	if err != nil {
		return "", nil, err
	}
	root = strings.TrimSpace(string(out))
	out, err = git(ctx, root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return "", nil, err
	}
	for name := range bytes.SplitSeq(out, []byte{0}) {
		if len(name) > 0 {
			files = append(files, string(name))
		}
	}
	return root, files, nil
}

func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return out, nil
}

// tree is a copy of the repository's tree.
type tree struct{ root string }

// copyTree copies the files into a folder that is not there yet.
func copyTree(from string, files []string, to string) (tree, error) {
	for _, name := range files {
		source, target := filepath.Join(from, name), filepath.Join(to, name)
		info, err := os.Lstat(source)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return tree{}, fmt.Errorf("copying the tree: %w", err)
		}
		if !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(source)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(target), 0o755)
		}
		if err == nil {
			err = os.WriteFile(target, text, info.Mode().Perm())
		}
		if err != nil {
			return tree{}, fmt.Errorf("copying the tree: %w", err)
		}
	}
	return tree{to}, nil
}

// apply makes the edits, all or none, and returns what takes them back. A text that does not occur exactly once is an
// error: the code has moved on, and the list must follow.
func (t tree) apply(edits []edit) (restore func() error, err error) {
	were, changed := map[string][]byte{}, map[string][]byte{}
	for _, e := range edits {
		text, ok := changed[e.file]
		if !ok {
			text, err = os.ReadFile(filepath.Join(t.root, e.file))
			if err != nil {
				return nil, fmt.Errorf("the list of mutants has rotted: %w", err)
			}
			were[e.file] = text
		}
		if n := bytes.Count(text, []byte(e.old)); n != 1 {
			return nil, fmt.Errorf("the list of mutants has rotted: %s has the text %q %d times, must be once", e.file, e.old, n)
		}
		changed[e.file] = bytes.Replace(text, []byte(e.old), []byte(e.new), 1)
	}
	restore = func() error { return t.write(were) }
	if err := t.write(changed); err != nil {
		return nil, errors.Join(err, restore())
	}
	return restore, nil
}

func (t tree) write(texts map[string][]byte) error {
	var errs []error
	for name, text := range texts {
		errs = append(errs, os.WriteFile(filepath.Join(t.root, name), text, 0o644))
	}
	return errors.Join(errs...)
}
