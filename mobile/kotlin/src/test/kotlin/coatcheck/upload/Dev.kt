package coatcheck.upload

import java.io.File
import java.io.IOException
import java.net.HttpURLConnection
import java.net.ServerSocket
import java.net.URI
import java.nio.file.Files
import java.util.concurrent.TimeUnit

/** `coatcheck dev` in a process of its own: Postgres, S3, SQS and the service, with its data in a folder of its own. */
class Dev(private vararg val args: String) : AutoCloseable {
    private val data: File = Files.createTempDirectory("coatcheck").toFile()
    private val log = File("target/dev-${data.name}.log").apply { parentFile.mkdirs() }
    private val listen = "127.0.0.1:${freePort()}"
    private val aws = "127.0.0.1:${freePort()}" // the same after a restart, as presigned URLs point there
    private var process: Process? = null

    val url = "http://$listen"

    init {
        Runtime.getRuntime().addShutdownHook(Thread(::close))
        start()
    }

    fun start() {
        val binary = File(System.getProperty("coatcheck"))
        check(binary.canExecute()) { "$binary is not built: `make test-mobile` does that first" }
        val command = listOf(binary.path, "dev", "--listen", listen, "--aws-listen", aws, "--data", data.path, *args)
        val started = ProcessBuilder(command).redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.appendTo(log)).start()
        process = started
        val deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(2) // the first start may download a Postgres
        while (!ready()) {
            check(started.isAlive && System.nanoTime() < deadline) { "coatcheck dev is not ready:\n${log.readText()}" }
            Thread.sleep(20)
        }
    }

    private fun ready() = try {
        (URI("$url/readyz").toURL().openConnection() as HttpURLConnection).responseCode == 200
    } catch (_: IOException) {
        false
    }

    fun stop() {
        process?.run { destroy(); waitFor() }
        process = null
    }

    override fun close() {
        stop()
        data.deleteRecursively()
    }

    companion object {
        /** One for all tests that do not stop it, until the JVM ends. */
        val shared: Dev by lazy { Dev("--sweep-interval", "200ms") }

        private fun freePort() = ServerSocket(0).use { it.localPort }
    }
}
