package coatcheck.upload

import kotlinx.coroutines.runBlocking
import java.io.File

/** An app that is killed on the way: `SERVER FOLDER KEY FILE WHEN`. It saves nothing on the way out, as with SIGKILL. */
fun main(args: Array<String>): Unit = runBlocking {
    val (server, folder, key, file, whenKilled) = args
    val app = App(server, File(folder), onPut = { chain ->
        if (whenKilled == "before the PUT") die()
        val answer = chain.proceed(chain.request())
        if (whenKilled == "after the PUT") die()
        answer
    })
    app.uploader.upload(Upload(key, File(file), "image/jpeg")) { sent, total ->
        if (whenKilled == "during the PUT" && sent > total / 2) die()
    }
    if (whenKilled == "before saving") die()
}

private fun die() = Runtime.getRuntime().halt(137)
