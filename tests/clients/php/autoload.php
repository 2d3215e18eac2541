<?php
// What `composer install` would write into orgkeys/vendor, with Debian's Guzzle.

require_once "GuzzleHttp/autoload.php";

spl_autoload_register(function (string $class): void {
    if (str_starts_with($class, "Orgkeys\\")) {
        require __DIR__ . "/../lib/" . strtr(substr($class, strlen("Orgkeys\\")), "\\", "/") . ".php";
    }
});
