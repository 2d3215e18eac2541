<?php

use Orgkeys\Api\NodesApi;
use Orgkeys\Api\PeopleApi;
use Orgkeys\Configuration;

require "orgkeys/vendor/autoload.php";

$config = (new Configuration())->setHost(getenv("URL"))->setAccessToken(getenv("TOKEN"));
$org = (new PeopleApi(config: $config))->getProfile()->getData()->getOrgId();
$nodes = (new NodesApi(config: $config))->listNodes($org);
echo "nodes: ", $nodes->getTotal(), "\n";
foreach ($nodes->getData() as $node) {
    echo $node->getIp(), " ", $node->getStatus(), "\n";
}
