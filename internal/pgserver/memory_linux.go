package pgserver

import "syscall"

// memory is the file system in memory that every Linux has for shared memory.
const memory = "/dev/shm"

const tmpfsMagic = 0x01021994 // statfs(2)

// freeInMemory returns how many bytes it can take, 0 when it is not what it should be.
func freeInMemory() uint64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(memory, &s); err != nil || s.Type != tmpfsMagic {
		return 0
	}
	return s.Bavail * uint64(s.Bsize)
}
