package internal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocs: every test that the docs name exists, in the package that docs/safety.md says.
func TestDocs(t *testing.T) {
	t.Parallel()
	tests := map[string]string{} // by folder
	var all strings.Builder
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		tests[filepath.Base(filepath.Dir(path))] += string(text)
		all.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tests["cmd"] = tests["coatcheck"]
	name := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	named := func(page, text, code string, atLeast int) {
		found := name.FindAllStringSubmatch(text, -1)
		if len(found) < atLeast {
			t.Errorf("%s names %d tests only", page, len(found))
		}
		for _, m := range found {
			if !strings.Contains(code, "func "+m[1]+"(") {
				t.Errorf("%s names %s, and there is no such test", page, m[1])
			}
		}
	}
	read := func(page string) string {
		text, err := os.ReadFile("../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	safety := read("safety.md")
	named("docs/safety.md", safety, all.String(), 100)
	named("docs/design.md", read("design.md"), all.String(), 5)
	for _, m := range regexp.MustCompile("`([a-z0-9/]+)`: ((?:`[A-Za-z0-9]+`(?:, )?)+)").FindAllStringSubmatch(safety, -1) {
		named("docs/safety.md of "+m[1], m[2], tests[filepath.Base(m[1])], 1)
	}
}
